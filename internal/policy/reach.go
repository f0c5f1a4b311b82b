package policy

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Reach is what policies let a workload reach. Only the egress of the workload counts.
type Reach struct {
	enforce.Table

	// Ports returns the ports at which an endpoint that is neither a host nor an address is allowed: pods, the API
	// server, or the node.
	Ports func(flow.Endpoint) []enforce.PortRange
}

// Pods is [enforce.Table].Workload.
func (r Reach) Pods(name, namespace string) []enforce.PortRange {
	return r.Ports(flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace})
}

// Unrestricted returns the reach of a workload that no policy isolates for egress.
func Unrestricted() Reach {
	return Reach{
		Table: enforce.Table{Unrestricted: true},
		Ports: func(flow.Endpoint) []enforce.PortRange { return enforce.Everything() },
	}
}

// NotEnforceableError says that the kernel cannot enforce a part of a policy as it is evaluated.
type NotEnforceableError struct {
	Policy, Namespace string
	Field             string // of the policy's object, such as "spec.egress[1].toFQDNs[0].matchPattern"
	Problem, Advice   string
}

func (e *NotEnforceableError) Error() string {
	return fmt.Sprintf("policy %s, %s: %s: %s", e.Policy, e.Field, e.Problem, e.Advice)
}

// NotEnforceable returns an error for a field of a policy.
func NotEnforceable(p metav1.Object, field, problem, advice string) *NotEnforceableError {
	return &NotEnforceableError{
		Policy: p.GetName(), Namespace: p.GetNamespace(), Field: field, Problem: problem, Advice: advice,
	}
}

// PatternNotEnforceable returns an error for a pattern with an asterisk inside of a label.
func PatternNotEnforceable(p metav1.Object, field, pattern string) *NotEnforceableError {
	return NotEnforceable(p, field,
		fmt.Sprintf("%q has an asterisk that the kernel cannot compare: it knows names, and all names below one", pattern),
		"write the hosts out, or leave Enforce out")
}

// Reaching collects what the rules of a workload's policies let it reach.
type Reaching struct {
	enforce.Builder
	Scope Scope

	hosts bool // some range of addresses is open to hosts of any name
}

// AllowHosts adds addresses at which hosts of any name are allowed. No host has the addresses of the cluster's
// resolver.
func (r *Reaching) AllowHosts(block enforce.Block, ports []enforce.PortRange) {
	isResolver := func(place Resolver) bool { return place.Addresses == block.Prefix }
	if len(ports) > 0 && !block.Prefix.IsSingleIP() && !slices.ContainsFunc(r.Scope.Resolvers, isResolver) {
		r.hosts = true
	}
	r.Allow(block, ports)
}

// AllowLookups allows the lookup of every name if a range of addresses is open to hosts of any name and the policies
// list no names. A single address is dialled as such, and policies with names list them all. Call it after all others
// that allow something.
func (r *Reaching) AllowLookups() {
	if r.hosts && !r.HasNames() {
		r.AllowName(enforce.EveryName)
	}
}

// AllowLists adds the lists in the annotations of a policy.
func (r *Reaching) AllowLists(o OtherFlows, p metav1.Object) error {
	for _, n := range ListedNames(p).All {
		if err := r.AllowPattern(p, NamesAnnotation, n.Host, nil); err != nil {
			return err
		}
	}
	for _, other := range othersIn(p, Egress).all {
		ports := other.kind.ports(o)
		switch {
		case len(ports) == 0:
		case other.prefix.IsValid() && other.prefix.IsSingleIP():
			r.Allow(enforce.Block{Prefix: other.prefix}, ports)
		case other.prefix.IsValid():
			r.AllowHosts(enforce.Block{Prefix: other.prefix}, ports)
		default:
			if err := r.AllowPattern(p, OtherAnnotation, other.peer, ports); err != nil {
				return err
			}
		}
	}
	return nil
}

// AllowPattern adds ports of the names that match a pattern, which an annotation of a policy lists. Without ports they
// may only be looked up.
func (r *Reaching) AllowPattern(p metav1.Object, annotation, pattern string, ports []enforce.PortRange) error {
	n := enforce.Name{Host: pattern, Ports: ports}
	if below, is := strings.CutPrefix(pattern, "*."); is {
		n.Host, n.Match = below, enforce.AnyLabels
	}
	if strings.Contains(n.Host, "*") {
		return PatternNotEnforceable(p, "metadata.annotations["+annotation+"]", pattern)
	}
	n.Host = unescapedHost(n.Host)
	r.AllowName(n)
	if service, is := strings.CutSuffix(n.Host, ServiceSuffix); is && len(ports) == 0 { // the other forms of its name
		r.AllowName(enforce.Name{Host: service, Match: n.Match})
		r.AllowName(enforce.Name{Host: n.Host + clusterDomain, Match: n.Match})
	}
	return nil
}

// clusterDomain ends the full names of workloads.
const clusterDomain = ".cluster.local"

// unescapedHost is the inverse of [HostOf].
func unescapedHost(text string) string {
	if isEscapedHost(text) {
		if name, err := url.PathUnescape(text); err == nil {
			return name
		}
	}
	return text
}

// ports returns the ports of packets for which the dialect has no rule, or none for others.
func (k PacketKind) ports(o OtherFlows) []enforce.PortRange {
	r := enforce.PortRange{Protocol: k.protocol, First: k.number, Last: k.number}
	f := flow.Flow{Protocol: k.protocol}
	switch {
	case k.protocol == enforce.AnyProtocol: // no packet of its own has protocol 0
		return nil
	case k.protocol.IsICMP():
		f.ICMPType = uint8(k.number)
	case k.protocol.HasPorts(), k.protocol == flow.UDPLite:
		f.Port = k.number
	default:
		r.Last = 65535
	}
	if o.NoRule(f) == "" {
		return nil
	}
	return []enforce.PortRange{r}
}

// ListedPorts returns the ports that the list of a subject's policy allows to an endpoint that is no address.
func ListedPorts(o OtherFlows, p metav1.Object, subject Workload, e flow.Endpoint) []enforce.PortRange {
	if o.NoName(Egress, e) != "" {
		return nil
	}
	names := o.spellings(cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace), e)
	var ports [][]enforce.PortRange
	for _, other := range othersIn(p, Egress).all {
		if slices.ContainsFunc(names, func(name string) bool { return MatchHost(other.peer, name) }) {
			ports = append(ports, other.kind.ports(o))
		}
	}
	return enforce.Join(ports...)
}

// ListedWorkloadPorts returns the ports that a policy's list allows to any workload.
func ListedWorkloadPorts(o OtherFlows, p metav1.Object) []enforce.PortRange {
	var ports [][]enforce.PortRange
	for _, other := range othersIn(p, Egress).all {
		if !other.prefix.IsValid() {
			ports = append(ports, other.kind.ports(o))
		}
	}
	return enforce.Join(ports...)
}

// WithPorts returns all ports of the protocols that have ports.
func WithPorts() []enforce.PortRange {
	var all []enforce.PortRange
	for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
		all = append(all, enforce.PortRange{Protocol: protocol, First: 1, Last: 65535})
	}
	return all
}

// PortsOf returns the named ports of an endpoint.
func (s Scope) PortsOf(e flow.Endpoint) []Port {
	ports, _ := s.portsOf(e)
	return ports
}

// AllPorts returns the named ports of all workloads.
func (s Scope) AllPorts() []Port {
	var all []Port
	for _, subject := range s.Subjects {
		all = append(all, subject.Ports...)
	}
	for _, peer := range s.Peers {
		all = append(all, peer.Ports...)
	}
	return all
}

// NamedRanges returns the ports with a name, for the protocols that is accepts.
func NamedRanges(ports []Port, name string, is func(flow.Protocol) bool) []enforce.PortRange {
	var ranges []enforce.PortRange
	for _, p := range ports {
		if p.Name == name && is(p.Protocol) {
			ranges = append(ranges, enforce.PortRange{Protocol: p.Protocol, First: p.Number, Last: p.Number})
		}
	}
	return ranges
}

// AcceptedAt returns the ports of an endpoint that rules with some ports allow: these, and for the API server those
// for which [AcceptedPorts] returns one of them.
func AcceptedAt(e flow.Endpoint, ports []enforce.PortRange) []enforce.PortRange {
	if !IsAPIServer(e) {
		return ports
	}
	usual := []uint16{APIServicePort, APIServerPort, minikubeAPIPort}
	if e.Addr.IsValid() {
		if enforce.Contains(ports, flow.TCP, APIServicePort) {
			ports = enforce.Join(ports, WithPorts()[:1])
		}
		return ports
	}
	if !slices.ContainsFunc(usual, func(port uint16) bool { return enforce.Contains(ports, flow.TCP, port) }) {
		return ports
	}
	for _, port := range usual {
		ports = enforce.Join(ports, []enforce.PortRange{{Protocol: flow.TCP, First: port, Last: port}})
	}
	return ports
}
