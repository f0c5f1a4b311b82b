package hubble

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// file returns the recording of all events.
func (r *reader) file() recording.File {
	flows, drops := r.flows()
	workloads := r.workloads(flows)
	f := recording.File{Version: recording.Version, Test: "hubble"}
	f.Recording.Flows, f.Recording.Workloads = flows, workloads
	f.Recording.Notices = r.notices(flows, drops)
	f.Recording.Losses = r.losses()
	f.Incomplete = r.incomplete()

	f.Placed.Workloads = slices.Clone(workloads)
	for i := range workloads {
		w := &workloads[i]
		w.PodLabels = nil // a recording has none
	}
	f.Placed.Notices = labelNotices(f.Placed.Workloads)
	placed := slices.Clone(flows)
	for i := range placed {
		placed[i].First = 0
	}
	f.Placed.Flows = recording.FromFlows(placed)
	return f
}

// flows returns all flows, sorted, and by reason those of which no packet passed, sorted.
func (r *reader) flows() ([]flow.Flow, map[string][]flow.Flow) {
	r.resolveAddresses()
	addrs := r.addresses()
	var passed, all flow.Set
	drops := make(map[string][]flow.Flow)
	add := func(s *seen, flows ...flow.Flow) {
		for _, f := range flows {
			f.Count = s.count()
			if !s.first.IsZero() {
				f.First = s.first.Sub(r.start)
			}
			all.Add(f)
			if s.passed {
				passed.Add(f)
			}
		}
		for why := range s.drops {
			drops[why] = append(drops[why], flows...)
		}
	}
	for k, s := range r.seen {
		f := flow.Flow{
			Protocol: k.protocol, Port: k.port, ICMPType: k.icmpType,
			Before: k.protocol == flow.TCP && s.flags && !s.connected, Requests: s.requests,
		}
		if len(s.requests) > 0 {
			f.Opaque = unseen
		}
		var may []flow.Flow
		for _, f.Source = range r.source(k.source, s, addrs) {
			for _, f.Destination = range r.destination(k, s, addrs) {
				may = append(may, f)
			}
		}
		add(s, may...)
	}
	for l, s := range r.failed {
		if s.answered || r.isSearched(l) {
			continue
		}
		source := r.workload(l.client)
		source.Addr = addrs[source]
		add(s, flow.Flow{Source: source, Destination: flow.ExternalHost(l.name), Lookup: true})
	}
	flows := passed.Sorted()
	for why, of := range drops {
		slices.SortFunc(of, flow.Flow.Compare)
		of = slices.CompactFunc(of, func(a, b flow.Flow) bool { return a.Compare(b) == 0 })
		drops[why] = slices.DeleteFunc(of, func(f flow.Flow) bool {
			_, hasPassed := slices.BinarySearchFunc(flows, f, flow.Flow.Compare)
			return hasPassed // between other pods of its workloads, perhaps
		})
	}
	if r.options.Dropped == IncludeDropped {
		flows = all.Sorted()
	}
	return flows, drops
}

// resolveAddresses replaces the ends of which some event had an address only by the pods that have the address.
func (r *reader) resolveAddresses() {
	replace := func(e end) end {
		if at, known := r.podAt[e.addr]; known && e.place == unknown {
			return at
		}
		return e
	}
	for k, s := range r.seen {
		to := k
		to.source, to.destination = replace(k.source), replace(k.destination)
		if to == k {
			continue
		}
		delete(r.seen, k)
		if of := r.seen[to]; of != nil {
			s.unite(of)
		}
		r.seen[to] = s
	}
}

// unite adds what other events of the same flow say.
func (s *seen) unite(other *seen) {
	if s.first.IsZero() || !other.first.IsZero() && other.first.Before(s.first) {
		s.first = other.first
	}
	if s.counts == nil {
		s.counts = make(map[observation]uint64)
	}
	for at, n := range other.counts {
		s.counts[at] += n
	}
	if s.drops == nil {
		s.drops = make(map[string]bool)
	}
	maps.Copy(s.drops, other.drops)
	s.passed, s.answered = s.passed || other.passed, s.answered || other.answered
	s.flags, s.connected = s.flags || other.flags, s.connected || other.connected
	s.names, s.sources = union(s.names, other.names), union(s.sources, other.sources)
	s.hosts = union(s.hosts, other.hosts)
	s.requests = append(s.requests, other.requests...)
	slices.SortFunc(s.requests, flow.Request.Compare)
	s.requests = slices.Compact(s.requests)
}

// addresses returns the lowest known address of each workload.
func (r *reader) addresses() map[flow.Endpoint]netip.Addr {
	lowest := make(map[flow.Endpoint]netip.Addr)
	for at, k := range r.pods {
		w := r.workload(at)
		if old := lowest[w]; k.addr.IsValid() && (!old.IsValid() || k.addr.Less(old)) {
			lowest[w] = k.addr
		}
	}
	return lowest
}

// source returns the endpoints that a source may be.
func (r *reader) source(at end, s *seen, addrs map[flow.Endpoint]netip.Addr) []flow.Endpoint {
	switch {
	case at.place.isWorkload():
		w := r.workload(at)
		w.Addr = addrs[w]
		return []flow.Endpoint{w}
	case !at.addr.IsValid() && len(s.sources) == 0:
		return []flow.Endpoint{{Kind: flow.Anyone}}
	}
	return named(at.addr, s.sources, flow.ByDNS)
}

// destination returns the endpoints that a flow's destination may be.
func (r *reader) destination(k key, s *seen, addrs map[flow.Endpoint]netip.Addr) []flow.Endpoint {
	at := k.destination
	switch {
	case r.isResolver(at, k.port):
		return []flow.Endpoint{flow.ClusterResolver}
	case at.place.isWorkload():
		w := r.workload(at)
		w.Addr = addrs[w]
		return []flow.Endpoint{w}
	case at.place.isAPIServer():
		server := flow.ClusterAPIServer
		server.Addr = at.addr
		return []flow.Endpoint{server}
	case at.place == ownNode || at.place == otherNode || at.place == ofProxy:
		return named(at.addr, nil, flow.NoEvidence)
	case len(s.hosts) > 0:
		return named(at.addr, s.hosts, flow.ByHTTP)
	case len(s.names) > 0:
		return named(at.addr, s.names, flow.ByDNS)
	}
	return named(at.addr, r.answers[answer{k.source, at.addr}], flow.ByDNS)
}

// named returns an address outside of pods under each of its names.
func named(addr netip.Addr, names []string, evidence flow.Evidence) []flow.Endpoint {
	var all []flow.Endpoint
	for _, name := range names {
		e := flow.Endpoint{Kind: flow.External, Name: name, Addr: addr, Evidence: evidence}
		if text, err := netip.ParseAddr(name); err == nil {
			e = flow.Endpoint{Kind: flow.Address, Addr: cmp.Or(addr, text)}
		}
		all = append(all, e)
	}
	if all == nil {
		all = append(all, flow.Endpoint{Kind: flow.Address, Addr: addr})
	}
	return all
}

// isSearched reports whether a failed lookup is an answered name with a domain of the pod's search path.
func (r *reader) isSearched(l lookup) bool {
	for i, c := range l.name {
		if s := r.failed[lookup{l.client, l.name[:i]}]; c == '.' && s != nil && s.answered {
			return true
		}
	}
	return false
}

// workloads returns the workloads of flows, sorted by namespace and name.
func (r *reader) workloads(flows []flow.Flow) []recording.Workload {
	inFlows := make(map[flow.Endpoint]bool)
	for _, f := range flows {
		inFlows[f.Source.Identity()], inFlows[f.Destination.Identity()] = true, true
	}
	all := make(map[flow.Endpoint]map[string]string) // labels; nil where they are not known
	for at, k := range r.pods {
		w := r.workload(at)
		if !inFlows[w] || w.Node {
			continue
		}
		labels := all[w]
		if k.labels != nil {
			labels = inCommon(labels, k.labels)
		}
		all[w] = labels
	}
	var list []recording.Workload
	for w, labels := range all {
		list = append(list, recording.Workload{
			Name: w.Name, Namespace: w.Namespace, HostNetwork: w.HostNetwork, AllTraffic: true,
			Labels: manifest.SelectorLabels(labels), PodLabels: manifest.PodLabels(labels),
		})
	}
	slices.SortFunc(list, compareWorkloads)
	return list
}

func compareWorkloads(a, b recording.Workload) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// losses returns the events that Hubble lost.
func (r *reader) losses() []recording.Loss {
	var all []recording.Loss
	for _, source := range slices.Sorted(maps.Keys(r.lost)) {
		l := recording.Loss{What: "events of Hubble (" + string(source) + ")", Count: r.lost[source]}
		switch source {
		case "PERF_EVENT_RING_BUFFER":
			l.Remedy = "set bpf.monitorAggregation of Cilium to maximum"
		case "OBSERVER_EVENTS_QUEUE":
			l.Remedy = "raise hubble.eventQueueSize of Cilium"
		case "HUBBLE_RING_BUFFER":
			l.Remedy = "raise hubble.eventBufferCapacity of Cilium, or give hubble observe filters"
		}
		all = append(all, l)
	}
	return all
}

// incomplete says why flows may be missing.
func (r *reader) incomplete() string {
	var why []string
	for _, l := range r.losses() {
		text := fmt.Sprintf("%d %s were lost", l.Count, l.What)
		if l.Remedy != "" {
			text += ": " + l.Remedy
		}
		why = append(why, text)
	}
	if len(r.unavailable) > 0 {
		nodes := slices.Sorted(maps.Keys(r.unavailable))
		why = append(why, fmt.Sprintf("Hubble could not observe nodes %s", strings.Join(nodes, ", ")))
	}
	return strings.Join(why, "; ")
}

// notices returns what a user should know about the flows.
func (r *reader) notices(flows []flow.Flow, drops map[string][]flow.Flow) []recording.Notice {
	var all []recording.Notice
	fate := "which are left out"
	if r.options.Dropped == IncludeDropped {
		fate = "which are recorded, because they were attempted"
	}
	for _, why := range slices.Sorted(maps.Keys(drops)) {
		if of := drops[why]; len(of) > 0 {
			all = append(all, recording.Noticef(recording.CodeDroppedFlows,
				"the cluster dropped all packets of %s (%s), %s: %s", count(uint64(len(of)), "flow"), why, fate, list(of)))
		}
	}
	var left []string
	for why, n := range r.left {
		left = append(left, fmt.Sprintf("%d %s", n, reasonTexts[why]))
	}
	if len(left) > 0 {
		slices.Sort(left)
		all = append(all, recording.Noticef(recording.CodeLeftOut, "events of Hubble that are in no flow: %s",
			strings.Join(left, "; ")))
	}
	if r.guessed > 0 {
		all = append(all, recording.Noticef(recording.CodeUnknownDirection, "Hubble does not know the direction of %s: "+
			"the side with the port below 32768 is taken for the server", count(r.guessed, "event")))
	}
	all = append(all, publicCallers(flows)...)
	slices.SortFunc(all, recording.Notice.Compare)
	return all
}

// maxCallers is the number of public addresses that may call a port without a notice.
const maxCallers = 16

func publicCallers(flows []flow.Flow) []recording.Notice {
	callers := make(map[string]int)
	for _, f := range flows {
		if !f.Source.Addr.IsValid() || f.Source.Kind == flow.Workload || !flow.Public(f.Source.Addr) {
			continue
		}
		callers[f.Target()]++
	}
	var all []recording.Notice
	for target, n := range callers {
		if n > maxCallers {
			all = append(all, recording.Noticef(recording.CodePublicCallers, "%d public addresses call %s, and a policy "+
				"lists each of them: if any address may call, write a rule for the port by hand", n, target))
		}
	}
	return all
}

// labelNotices returns what is wrong with the labels of workloads.
func labelNotices(workloads []recording.Workload) []recording.Notice {
	var all []recording.Notice
	for _, w := range workloads {
		at := flow.Endpoint{Kind: flow.Workload, Name: w.Name, Namespace: w.Namespace}
		if len(w.Labels) == 0 {
			all = append(all, recording.Noticef(recording.CodeNoLabels,
				"Hubble had no labels for the pods of %s: its label is taken to be app=%s", at, w.Name))
			continue
		}
		var others []string
		for _, other := range workloads {
			if other.Namespace == w.Namespace && other.Name != w.Name && contains(other.PodLabels, w.Labels) {
				others = append(others, other.Name)
			}
		}
		if len(others) > 0 {
			all = append(all, recording.Noticef(recording.CodeSharedSelector,
				"no label distinguishes the pods of %s from those of %s, so its policy selects them too: give its pods a "+
					"label of their own", at, strings.Join(others, ", ")))
		}
	}
	slices.SortFunc(all, recording.Notice.Compare)
	return all
}

func contains(pod, labels map[string]string) bool {
	for key, value := range labels {
		if got, ok := pod[key]; !ok || got != value {
			return false
		}
	}
	return true
}

// list returns at most three flows, and the number of others.
func list(flows []flow.Flow) string {
	const most = 3
	var all []string
	for i, f := range flows {
		if i == most {
			all = append(all, fmt.Sprintf("and %d more", len(flows)-most))
			break
		}
		all = append(all, f.Source.String()+" -> "+f.Target())
	}
	return strings.Join(all, ", ")
}

func count(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
