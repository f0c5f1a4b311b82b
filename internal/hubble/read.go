package hubble

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Read reads a stream of Hubble's flows, one JSON object a line, and returns them as one recording of which every
// workload is a subject. It uses memory for distinct flows, pods and DNS answers, not for events.
//
// Each flow is there once, though both of its nodes report it, at several points. A reply counts for the flow that it
// replies to. If Hubble does not know the direction (is_reply is missing, as for drops), TCP flags and SCTP chunks
// decide, then ports: the side with a port below 32768 serves, if only one side has one. Flow.Count is the largest
// number of events that one kind of observation has; Hubble samples packets, so it is a lower bound.
//
// An endpoint with the labels of pods is a workload. Its name is that of Hubble's workload, otherwise that of its pod
// without the parts that controllers add. Its labels are those that all of its pods have. Pods of the cluster's DNS at
// port 53 become [flow.ClusterResolver], reserved:kube-apiserver becomes [flow.ClusterAPIServer] (as a source, an
// address). An address outside of the cluster has all names under which its client may know it: the host of an HTTP
// request, otherwise destination_names, otherwise the DNS answers in the stream. Nodes are addresses.
//
// A flow has the HTTP and Kafka requests that Hubble observed and that were not dropped, without queries, and at most
// 1,000 different ones. It is opaque then: Hubble observes only what passes Cilium's proxy.
//
// Flows without a workload at either end are left out, and those that no policy decides about: from a pod's own node,
// which Kubernetes always allows, Cilium's health checks, errors and neighbor discovery of ICMP, multicast. A notice
// counts them. Events of sockets, and those of packets to the address of a Service, repeat others.
//
// Lost events and nodes that could not be reached make the recording incomplete. A line that is not JSON is an error
// that names the line, as is a stream without any message. Unknown fields are ignored.
func Read(in io.Reader, o Options) (recording.File, error) {
	r := reader{
		options: o, seen: make(map[key]*seen), pods: make(map[end]*known), podAt: make(map[netip.Addr]end),
		answers: make(map[answer][]string), failed: make(map[lookup]*seen), left: make(map[reason]uint64),
		lost: make(map[word]uint64), unavailable: make(map[string]bool),
	}
	messages := 0
	err := eachLine(in, func(line []byte) error {
		messages++
		var m message
		if err := json.Unmarshal(snakeKeys(line), &m); err != nil {
			return fmt.Errorf("no flow of Hubble as JSON: %w", err)
		}
		return r.add(m)
	})
	if err != nil {
		return recording.File{}, err
	}
	if messages == 0 {
		return recording.File{}, errors.New("it is empty, want the output of hubble observe -o jsonpb")
	}
	return r.file(), nil
}

// reader is the state of one call of Read.
type reader struct {
	options Options

	seen  map[key]*seen
	pods  map[end]*known
	podAt map[netip.Addr]end // for events that have an address only
	start time.Time          // of the earliest event; zero if none has a time

	answers map[answer][]string // names
	failed  map[lookup]*seen    // lookups without an address

	left        map[reason]uint64 // events that are in no flow
	guessed     uint64            // events of which ports decided the direction
	lost        map[word]uint64   // by source
	unavailable map[string]bool   // nodes
}

// key is what the events of one flow have in common.
type key struct {
	source, destination end
	protocol            flow.Protocol
	port                uint16
	icmpType            uint8
}

// answer is a client and an address that a DNS answer gave it.
type answer struct {
	client end
	addr   netip.Addr
}

// lookup is a client and the name that it looked up.
type lookup struct {
	client end
	name   string
}

// seen is what the events of a flow say.
type seen struct {
	counts    map[observation]uint64
	first     time.Time
	passed    bool            // at least one packet
	drops     map[string]bool // by reason
	names     []string        // of the destination, sorted
	sources   []string        // names of the source, sorted
	hosts     []string        // of HTTP requests, sorted
	requests  []flow.Request  // those that were not dropped, sorted
	answered  bool            // of a lookup: the name has an address after all
	flags     bool            // events of TCP have flags
	connected bool            // one of them opened a connection
}

// observation is a kind of place where Hubble observes: each packet passes each kind at most once.
type observation struct {
	kind, at  number
	direction word
}

// reason says why an event is in no flow.
type reason uint8

const (
	noWorkload reason = iota
	fromOwnNode
	healthCheck
	toService
	noAddress
	control
	noPorts
	reasons
)

var reasonTexts = [reasons]string{
	noWorkload:  "have no workload at either end",
	fromOwnNode: "are from a pod's own node, which Kubernetes always allows",
	healthCheck: "are health checks of Cilium",
	toService:   "are to the address of a Service, which others show at its pods",
	noAddress:   "have neither address nor name for one of their ends",
	control:     "are multicast, or errors and neighbor discovery of ICMP",
	noPorts:     "are of a protocol that Hubble does not describe",
}

func (r *reader) add(m message) error {
	switch {
	case m.LostEvents != nil:
		r.lost[cmp.Or(m.LostEvents.Source, "UNKNOWN_LOST_EVENT_SOURCE")] += uint64(m.LostEvents.Count)
	case m.NodeStatus != nil:
		for _, node := range m.NodeStatus.Nodes {
			if s := m.NodeStatus.State; s == "NODE_UNAVAILABLE" || s == "NODE_ERROR" {
				r.unavailable[node] = true
			}
		}
	case m.Flow != nil:
		return r.addEvent(m.Flow)
	case m.IP != nil || m.Source != nil || m.Destination != nil:
		return r.addEvent(&m.event)
	case m.Time == "" && m.NodeName == "" && m.Verdict == "":
		return errors.New("no flow of Hubble: want the output of hubble observe -o jsonpb")
	}
	return nil // agent and debug events
}

func (r *reader) addEvent(e *event) error {
	if e.Type == "SOCK" || e.Verdict == "TRACED" || e.Verdict == "TRANSLATED" {
		return nil
	}
	address := ip{}
	if e.IP != nil {
		address = *e.IP
	}
	source, sourceErr := r.end(e.Source, address.Source)
	destination, destinationErr := r.end(e.Destination, address.Destination)
	when, timeErr := r.time(e.Time)
	if err := errors.Join(sourceErr, destinationErr, timeErr); err != nil {
		return err
	}
	p, err := e.packet()
	if err != nil {
		return err
	}
	if e.L7 != nil && e.L7.DNS != nil && e.L7.Type == response {
		client := destination
		if p.destination == dnsPort {
			client = source
		}
		return r.addAnswer(client, e, when)
	}
	if e.L7 != nil && e.L7.Type == response {
		return nil // its request is an event, too
	}
	if p.isControl || destination.addr.IsMulticast() {
		r.left[control]++
		return nil
	}
	if p.protocol == 0 {
		r.left[noPorts]++
		return nil
	}
	if p.guessed {
		r.guessed++
	}
	names, sourceNames := e.Names, e.SourceNames
	if p.isReply {
		source, destination = destination, source
		names, sourceNames = sourceNames, names
	} else if e.Service != nil {
		destination = destination.throughService(e.Service)
	}
	if why, leave := leftOut(source, destination, sourceNames, names); leave {
		r.left[why]++
		return nil
	}
	k := key{source: source, destination: destination, protocol: p.protocol, port: p.port, icmpType: p.icmpType}
	s := r.seen[k]
	if s == nil {
		s = &seen{}
		r.seen[k] = s
	}
	s.add(e, p, when)
	s.names, s.sources = union(s.names, names), union(s.sources, sourceNames)
	if e.L7 != nil && e.L7.HTTP != nil {
		if u, err := url.Parse(e.L7.HTTP.URL); err == nil && u.Hostname() != "" {
			s.hosts = union(s.hosts, []string{u.Hostname()})
		}
	}
	return nil
}

// leftOut returns why a flow is left out, if it is.
func leftOut(source, destination end, sourceNames, names []string) (reason, bool) {
	switch {
	case source.place == ofCilium || destination.place == ofCilium:
		return healthCheck, true
	case destination.place == serviceIP:
		return toService, true
	case !source.place.isWorkload() && !destination.place.isWorkload():
		return noWorkload, true
	case source.place == ownNode || source.place == ownAPIServer:
		return fromOwnNode, true // to a pod of another node, that node reports the source as a remote one
	case source.isNowhere(sourceNames) && source.place != world: // Write has no address for any caller
		return noAddress, true
	case destination.isNowhere(names) && !destination.place.isAPIServer() && destination.place != resolver:
		return noAddress, true
	}
	return 0, false
}

// isNowhere reports whether nothing tells an end outside of pods from others.
func (e end) isNowhere(names []string) bool {
	return !e.place.isWorkload() && !e.addr.IsValid() && len(union(nil, names)) == 0
}

// throughService returns a destination outside of pods as the Service that Hubble knows at its address.
func (e end) throughService(s *service) end {
	switch {
	case e.place.isWorkload() || e.place.isAPIServer() || s.Name == "":
		return e
	case s.Name == flow.ClusterAPIServer.Name && s.Namespace == flow.ClusterAPIServer.Namespace:
		return end{place: apiServer} // the address of the Service is not that of its endpoints
	case s.Name == flow.ClusterResolver.Name && s.Namespace == flow.ClusterResolver.Namespace:
		return end{place: resolver}
	}
	return end{place: serviceIP}
}

// time returns the time of an event. Without one it is the zero time.
func (r *reader) time(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	when, err := time.Parse(time.RFC3339Nano, text)
	if err == nil && (r.start.IsZero() || when.Before(r.start)) {
		r.start = when
	}
	return when, err
}

// add adds an event.
func (s *seen) add(e *event, p packet, when time.Time) {
	if s.first.IsZero() || !when.IsZero() && when.Before(s.first) {
		s.first = when
	}
	s.flags = s.flags || p.hasFlags
	s.connected = s.connected || p.opens
	if e.Verdict == dropped || e.Verdict == "ERROR" {
		if s.drops == nil {
			s.drops = make(map[string]bool)
		}
		s.drops[e.dropReason()] = true
	} else {
		s.passed = true
	}
	if p.isReply || p.hasFlags && !p.opens {
		return
	}
	if e.L7 != nil && (e.L7.HTTP != nil || e.L7.Kafka != nil) {
		s.addRequest(e)
		return // a connection has any number of them
	}
	var at observation
	if t := e.EventType; t != nil {
		at = observation{t.Type, t.SubType, e.Direction}
	}
	n := uint64(1)
	if a := e.Aggregate; a != nil {
		n = max(n, uint64(a.Ingress), uint64(a.Egress), uint64(a.Unknown))
	}
	if s.counts == nil {
		s.counts = make(map[observation]uint64)
	}
	s.counts[at] += min(n, math.MaxUint64-s.counts[at])
}

// count returns the number of attempts or datagrams that Hubble observed.
func (s *seen) count() uint64 {
	n := uint64(1)
	for _, observed := range s.counts {
		n = max(n, observed)
	}
	return n
}

// dropReason returns why an event was dropped, in Hubble's word where there is one.
func (e *event) dropReason() string {
	switch {
	case e.Verdict == "ERROR":
		return "ERROR"
	case e.DropReasonDesc != "" && e.DropReasonDesc != "DROP_REASON_UNKNOWN":
		return string(e.DropReasonDesc)
	case e.DropReason == policyDenied:
		return denied
	case e.DropReason != 0:
		return fmt.Sprintf("drop reason %d", e.DropReason)
	case e.L7 != nil:
		return "denied by a rule for L7"
	}
	return "no reason given"
}

// addAnswer remembers a DNS answer: the names of addresses, or a name without an address.
func (r *reader) addAnswer(client end, e *event, when time.Time) error {
	d := e.L7.DNS
	name := hostName(d.Query)
	if !client.place.isWorkload() || name == "" {
		return nil
	}
	isAddress := func(kind string) bool { return kind == "A" || kind == "AAAA" }
	if len(d.Types) > 0 && !slices.ContainsFunc(d.Types, isAddress) {
		return nil
	}
	for _, text := range d.IPs {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("l7.dns.ips: %w", err)
		}
		at := answer{client, addr.Unmap()}
		r.answers[at] = union(r.answers[at], []string{name})
	}
	if d.RCode != 0 && d.RCode != nameError || strings.HasSuffix(name, ".cluster.local") {
		return nil // the search path of pods leads to failed lookups of names inside
	}
	l := lookup{client, name}
	s := r.failed[l]
	if s == nil {
		s = &seen{}
		r.failed[l] = s
	}
	s.add(e, packet{}, when)
	s.answered = s.answered || len(d.IPs) > 0
	return nil
}

// hostName returns a DNS name in the form of [flow.Endpoint].
func hostName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// union returns the union of a sorted list and a list of names.
func union(list, names []string) []string {
	for _, name := range names {
		name = hostName(name)
		if i, found := slices.BinarySearch(list, name); !found && name != "" {
			list = slices.Insert(list, i, name)
		}
	}
	return list
}
