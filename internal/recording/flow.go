package recording

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// kinds, evidences and requestProtocols are the words of a file.
var (
	kinds = map[flow.Kind]Kind{
		flow.Workload: KindWorkload, flow.Resolver: KindResolver, flow.APIServer: KindAPIServer,
		flow.External: KindExternal, flow.Address: KindAddress, flow.Anyone: KindAnyone,
	}
	evidences = map[flow.Evidence]Evidence{
		flow.NoEvidence: NoEvidence, flow.ByOption: ByOption, flow.ByListener: ByListener, flow.ByDNS: ByDNS,
		flow.ByResolvConf: ByResolvConf, flow.ByContainer: ByContainer, flow.ByTLS: ByTLS, flow.ByTLSOuter: ByTLSOuter,
		flow.ByHTTP: ByHTTP, flow.ByEnvironment: ByEnvironment,
	}
	requestProtocols = map[flow.RequestProtocol]string{
		flow.HTTP: flow.HTTP.String(), flow.GRPC: flow.GRPC.String(), flow.Kafka: flow.Kafka.String(),
	}
)

// FromFlows returns flows as data, in their order.
func FromFlows(flows []flow.Flow) []Flow {
	var all []Flow
	for _, f := range flows {
		all = append(all, fromFlow(f))
	}
	return all
}

func fromFlow(f flow.Flow) Flow {
	v := Flow{
		Source: fromEndpoint(f.Source), Destination: fromEndpoint(f.Destination),
		Protocol: f.Protocol.String(), Port: f.Port, ICMPType: f.ICMPType, Dialled: f.Dialled,
		Count: f.Count, Refused: f.Refused, Lookup: f.Lookup, Before: f.Before, Binaries: slices.Clone(f.Binaries),
		Named: f.Named, First: fromDuration(f.First), Process: fromProcess(f.Process),
		Opaque: f.Opaque,
	}
	for _, r := range f.Requests {
		v.Requests = append(v.Requests, Request{r.Protocol.String(), r.Method, r.Host, r.Path, r.Query, r.Topic})
	}
	return v
}

func fromProcess(p flow.Process) Process {
	v := Process{
		PID: p.PID, Name: p.Name, Command: p.Command, Executable: p.Executable, Parents: slices.Clone(p.Parents),
		Container: p.Container, Image: p.Image, Exec: p.Exec, Test: p.Test,
	}
	for _, frame := range p.Stack {
		v.Stack = append(v.Stack, Frame(frame))
	}
	return v
}

func toProcess(v Process) flow.Process {
	p := flow.Process{
		PID: v.PID, Name: v.Name, Command: v.Command, Executable: v.Executable, Parents: slices.Clone(v.Parents),
		Container: v.Container, Image: v.Image, Exec: v.Exec, Test: v.Test,
	}
	for _, frame := range v.Stack {
		p.Stack = append(p.Stack, flow.Frame(frame))
	}
	return p
}

func fromDuration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// toDuration is the inverse of fromDuration.
func toDuration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	return time.ParseDuration(text)
}

func fromEndpoint(e flow.Endpoint) Endpoint {
	v := Endpoint{
		Kind: kinds[e.Kind], Name: e.Name, Namespace: e.Namespace, Evidence: evidences[e.Evidence],
		HostNetwork: e.HostNetwork, Node: e.Node,
	}
	if e.Addr.IsValid() {
		v.Addr = e.Addr.String()
	}
	return v
}

// ToFlows is the inverse of [FromFlows]. The error names the flow by its index, and says what is wrong with it.
func ToFlows(v []Flow) ([]flow.Flow, error) {
	var flows []flow.Flow
	for i, one := range v {
		f, err := toFlow(one)
		if err != nil {
			return nil, fmt.Errorf("flow %d: %w", i, err)
		}
		flows = append(flows, f)
	}
	return flows, nil
}

func toFlow(v Flow) (flow.Flow, error) {
	source, sourceErr := toEndpoint(v.Source)
	if sourceErr != nil {
		sourceErr = fmt.Errorf("source: %w", sourceErr)
	}
	destination, destinationErr := toEndpoint(v.Destination)
	if destinationErr != nil {
		destinationErr = fmt.Errorf("destination: %w", destinationErr)
	}
	protocol, protocolErr := ToProtocol(v.Protocol)
	first, firstErr := toDuration(v.First)
	requests, requestErr := toRequests(v.Requests)
	if err := errors.Join(sourceErr, destinationErr, protocolErr, firstErr, requestErr); err != nil {
		return flow.Flow{}, err
	}
	return flow.Flow{
		Source: source, Destination: destination, Protocol: protocol, Port: v.Port, ICMPType: v.ICMPType,
		Dialled: v.Dialled, Count: v.Count, Refused: v.Refused, Lookup: v.Lookup, Before: v.Before,
		Binaries: toBinaries(v.Binaries), Named: v.Named, First: first, Process: toProcess(v.Process),
		Requests: requests, Opaque: v.Opaque,
	}, nil
}

// toRequests returns requests in the order that [flow.Flow] has.
func toRequests(v []Request) ([]flow.Request, error) {
	var all []flow.Request
	for i, one := range v {
		protocol, known := keyOf(requestProtocols, one.Protocol)
		if !known {
			return nil, fmt.Errorf("request %d: unknown protocol %q", i, one.Protocol)
		}
		all = append(all, flow.Request{
			Protocol: protocol, Method: one.Method, Host: one.Host, Path: one.Path, Query: one.Query, Topic: one.Topic,
		})
	}
	slices.SortFunc(all, flow.Request.Compare)
	return slices.Compact(all), nil
}

// toBinaries reads names that a policy's annotation separates by commas: an entry with a comma counts as several.
func toBinaries(entries []string) []string {
	if text := strings.Join(entries, ","); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

func toEndpoint(v Endpoint) (flow.Endpoint, error) {
	e := flow.Endpoint{Name: v.Name, Namespace: v.Namespace, HostNetwork: v.HostNetwork, Node: v.Node}
	var known bool
	if e.Kind, known = keyOf(kinds, v.Kind); !known {
		return e, fmt.Errorf("unknown kind %q", v.Kind)
	}
	if e.Evidence, known = keyOf(evidences, v.Evidence); !known {
		return e, fmt.Errorf("unknown evidence %q", v.Evidence)
	}
	if v.Addr != "" {
		var err error
		if e.Addr, err = netip.ParseAddr(v.Addr); err != nil {
			return e, err
		}
	}
	return e, nil
}

// keyOf returns the key of a value in a map that has every value once.
func keyOf[K, V comparable](words map[K]V, word V) (K, bool) {
	for key, value := range words {
		if value == word {
			return key, true
		}
	}
	var none K
	return none, false
}

// ToProtocol is the inverse of [flow.Protocol.String].
func ToProtocol(word string) (flow.Protocol, error) {
	named := []flow.Protocol{flow.ICMP, flow.TCP, flow.UDP, flow.ICMPv6, flow.SCTP, flow.UDPLite}
	if i := slices.IndexFunc(named, func(p flow.Protocol) bool { return p.String() == word }); i >= 0 {
		return named[i], nil
	}
	if number, isNumber := strings.CutPrefix(word, "IP/"); isNumber {
		if n, err := strconv.ParseUint(number, 10, 8); err == nil && flow.Protocol(n).String() == word {
			return flow.Protocol(n), nil
		}
	}
	return 0, fmt.Errorf("unknown protocol %q", word)
}
