package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// The annotations that list flows for which the dialect has no rule: "icmp-echo 203.0.113.9,ip-47 vpn.example".
// Kubernetes ignores them, but the verdict reads them: an unlisted flow is denied, like a flow that no rule allows.
//
// An entry is a kind of packet, a space and the peer. The kinds are icmp-echo, icmpv6-echo, icmp-type-13,
// icmpv6-type-139 (by number), ip-47, udplite, udplite:9, and tcp:0, udp:0 and sctp:0. The peer is an address, a
// range of addresses, a DNS name with asterisks as in [NamesAnnotation], or a workload: "db", or "db.shop.svc" if it
// is not in the policy's namespace.
const (
	OtherAnnotation = "netzero.dev/egress-other"
	// OtherIngressAnnotation lists flows from a source without a policy of its own; with Driver the source is
	// "anywhere". If the source has a policy, only the egress of that policy decides.
	OtherIngressAnnotation = "netzero.dev/ingress-other"
)

const anywhere = "anywhere"

func otherAnnotation(d Direction) string {
	if d == Ingress {
		return OtherIngressAnnotation
	}
	return OtherAnnotation
}

// PacketKind is the part of an [OtherAnnotation] entry before the peer.
type PacketKind struct {
	protocol flow.Protocol
	number   uint16 // the ICMP type, or the port
}

// KindOf returns the kind of a flow's packets.
func KindOf(f flow.Flow) PacketKind {
	if f.Protocol.IsICMP() {
		return PacketKind{f.Protocol, uint16(ICMPTypeOf(f))}
	}
	return PacketKind{f.Protocol, f.Port}
}

// String returns the kind as entries spell it.
func (k PacketKind) String() string {
	number := strconv.Itoa(int(k.number))
	switch {
	case k == KindOf(flow.Flow{Protocol: flow.ICMP}), k == KindOf(flow.Flow{Protocol: flow.ICMPv6}):
		return strings.ToLower(k.protocol.String()) + "-echo"
	case k.protocol.IsICMP():
		return strings.ToLower(k.protocol.String()) + "-type-" + number
	case k.protocol.HasPorts():
		return strings.ToLower(k.protocol.String()) + ":" + number
	case k.protocol == flow.UDPLite && k.number != 0:
		return "udplite:" + number
	case k.protocol == flow.UDPLite:
		return "udplite"
	}
	return "ip-" + strconv.Itoa(int(k.protocol))
}

// parseKind parses the form that [PacketKind.String] writes.
func parseKind(text string) (PacketKind, bool) {
	var k PacketKind
	word, number, _ := strings.Cut(text, ":")
	if i := strings.LastIndexByte(text, '-'); i >= 0 {
		word, number = text[:i], text[i+1:]
	}
	n, err := strconv.ParseUint(number, 10, 16)
	switch word {
	case "icmp", "icmpv6":
		k, err = KindOf(flow.Flow{Protocol: icmpProtocols[word]}), nil // an echo; any other form differs
	case "icmp-type", "icmpv6-type":
		k = PacketKind{icmpProtocols[strings.TrimSuffix(word, "-type")], uint16(n)}
		if n > 255 {
			return PacketKind{}, false
		}
	case "ip":
		k = PacketKind{protocol: flow.Protocol(n)}
	case "udplite":
		k = PacketKind{flow.UDPLite, uint16(n)}
		if number == "" {
			err = nil
		}
	default:
		for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
			if word == strings.ToLower(protocol.String()) && n == 0 {
				k.protocol = protocol
			}
		}
	}
	return k, err == nil && k.String() == text
}

var icmpProtocols = map[string]flow.Protocol{"icmp": flow.ICMP, "icmpv6": flow.ICMPv6}

// otherFlow is one entry of [OtherAnnotation].
type otherFlow struct {
	kind   PacketKind
	peer   string
	prefix netip.Prefix // valid if peer is an address or a range
}

// String returns the flow as an annotation lists it.
func (o otherFlow) String() string { return o.kind.String() + " " + o.peer }

// ParseOther parses one entry. It accepts only the form that its String method writes.
func ParseOther(d Direction, entry string) (otherFlow, error) {
	kind, peer, _ := strings.Cut(entry, " ")
	o := otherFlow{peer: peer}
	var known bool
	o.kind, known = parseKind(kind)
	addr, err := netip.ParseAddr(peer)
	if err == nil {
		o.prefix = netip.PrefixFrom(addr, addr.BitLen())
	} else if prefix, err := netip.ParsePrefix(peer); err == nil {
		o.prefix = prefix
	}
	spelled := peer
	if o.prefix.IsValid() {
		spelled = o.prefix.Masked().String()
		if o.prefix.IsSingleIP() {
			spelled = o.prefix.Addr().Unmap().String()
		}
	}
	switch {
	case !known:
		return otherFlow{}, fmt.Errorf(
			"read %q: want a kind of packet such as icmp-echo, icmp-type-13 or ip-47, as in icmp-echo 203.0.113.9", entry,
		)
	case peer == "*":
		return otherFlow{}, fmt.Errorf(
			"read %q: an asterisk alone is every name: write the ranges 0.0.0.0/0 and ::/0 for every address", entry,
		)
	case d == Ingress && peer == anywhere:
	case !o.prefix.IsValid() && !isHostPattern(peer) && !isLongWorkload(peer):
		return otherFlow{}, fmt.Errorf(
			"read %q: want an address, a range, a DNS name or a workload after %s, as in icmp-echo 203.0.113.9", entry, kind,
		)
	case peer != spelled:
		return otherFlow{}, fmt.Errorf("read %q: want %s %s", entry, kind, spelled)
	}
	return o, nil
}

// otherList holds the entries of an annotation.
type otherList struct {
	all   []otherFlow       // the well-formed entries: a malformed one allows nothing, see ValidateLists
	exact map[otherFlow]int // the indexes of entries with exactly one peer
	wide  []int             // the indexes of the others: ranges, and names with asterisks
}

// othersIn returns the entries of a policy.
func othersIn(p metav1.Object, d Direction) *otherList {
	return otherLists[d].read(p.GetAnnotations()[otherAnnotation(d)], func(text string) *otherList {
		list := &otherList{exact: make(map[otherFlow]int)}
		for entry := range strings.SplitSeq(text, ",") {
			o, err := ParseOther(d, strings.TrimSpace(entry))
			if _, again := list.exact[o]; err != nil || again {
				continue
			}
			if o.prefix.IsValid() && !o.prefix.IsSingleIP() || strings.Contains(o.peer, "*") {
				list.wide = append(list.wide, len(list.all))
			} else {
				list.exact[o] = len(list.all)
			}
			list.all = append(list.all, o)
		}
		return list
	})
}

var otherLists [2]memo[*otherList]

// find returns the first entry of a policy in a namespace that matches a flow.
func (l *otherList) find(s Scope, namespace string, d Direction, f flow.Flow) (otherFlow, bool) {
	for _, o := range exactly(s, namespace, d, f) {
		if i, listed := l.exact[o]; listed {
			return l.all[i], true
		}
	}
	for _, i := range l.wide {
		if l.all[i].matches(s, namespace, d, f) {
			return l.all[i], true
		}
	}
	return otherFlow{}, false
}

// exactly returns the possible entries that match a flow and no other peer.
func exactly(s Scope, namespace string, d Direction, f flow.Flow) []otherFlow {
	peerEnd, kind := d.PeerEnd(f), KindOf(f)
	addr := EndpointAddress(peerEnd)
	switch {
	case peerEnd.Kind == flow.Anyone:
		return []otherFlow{{kind: kind, peer: anywhere}}
	case peerEnd.Kind == flow.Workload, peerEnd.Kind == flow.Resolver, peerEnd.Kind == flow.APIServer:
		var all []otherFlow
		for _, name := range s.spellings(namespace, peerEnd) {
			all = append(all, otherFlow{kind: kind, peer: name})
		}
		return all
	case peerEnd.Kind == flow.External && d == Egress:
		return []otherFlow{{kind: kind, peer: peerEnd.Name}}
	}
	return []otherFlow{{kind, addr.String(), netip.PrefixFrom(addr, addr.BitLen())}}
}

// matches reports whether an entry of a policy in a namespace matches a flow.
func (o otherFlow) matches(s Scope, namespace string, d Direction, f flow.Flow) bool {
	if o.kind != KindOf(f) {
		return false
	}
	peerEnd := d.PeerEnd(f)
	addr := EndpointAddress(peerEnd)
	switch peerEnd.Kind {
	case flow.Anyone:
		return o.peer == anywhere
	case flow.Workload, flow.Resolver, flow.APIServer:
		return slices.ContainsFunc(s.spellings(namespace, peerEnd), func(name string) bool { return MatchHost(o.peer, name) })
	case flow.External:
		if d == Egress && !o.prefix.IsValid() {
			return MatchHost(o.peer, peerEnd.Name)
		}
		// A single address does not match the names that resolve to it, as in NamesAnnotation.
		return (d == Ingress || !o.prefix.IsSingleIP()) && o.prefix.IsValid() && o.prefix.Contains(addr)
	case flow.Address:
		return o.prefix.IsValid() && o.prefix.Contains(addr)
	}
	return false
}

// otherEntry returns the entry for a flow of a subject.
func (s Scope) otherEntry(subject Workload, d Direction, f flow.Flow) string {
	peerEnd := d.PeerEnd(f)
	name := s.Spelled(subject, peerEnd)
	switch {
	case peerEnd.Kind == flow.Anyone:
		name = anywhere
	case peerEnd.Kind == flow.Address, peerEnd.Kind == flow.External && d == Ingress:
		name = EndpointAddress(peerEnd).String()
	case peerEnd.Kind == flow.External:
		name = s.Folded(peerEnd.Name)
	}
	return otherFlow{kind: KindOf(f), peer: name}.String()
}

// Spelled returns how the annotations of a subject's policy spell a workload: by its name, and with its namespace if
// that is not the subject's.
func (s Scope) Spelled(subject Workload, e flow.Endpoint) string {
	if e.Kind == flow.Resolver {
		e = flow.ClusterResolver
	}
	w, _ := s.WorkloadOf(e)
	if w.Namespace == "" || w.Namespace == subject.Namespace {
		return w.Name
	}
	return w.Name + "." + w.Namespace + ServiceSuffix
}

// isWorkloadName reports whether an entry names a workload and not an external host.
func isWorkloadName(name string) bool {
	return !strings.Contains(name, ".") || strings.HasSuffix(name, ServiceSuffix)
}

// isLongWorkload reports whether a name is that of a workload followed by its namespace, where the workload's own
// name may be as long as a host name.
func isLongWorkload(name string) bool {
	return isWorkloadName(name) && hasHostShape(name) &&
		len(name) <= longestHost+len(".")+longestLabel+len(ServiceSuffix)
}

// ServiceSuffix ends the names that workloads of other namespaces have in a cluster.
const ServiceSuffix = ".svc"

// spellings returns every spelling of a workload that the annotations of a policy in a namespace may use.
func (s Scope) spellings(namespace string, e flow.Endpoint) []string {
	if e.Kind == flow.Resolver {
		e = flow.ClusterResolver
	}
	w, _ := s.WorkloadOf(e)
	of := cmp.Or(w.Namespace, namespace)
	all := []string{w.Name + "." + of + ServiceSuffix}
	if of == namespace {
		all = append(all, w.Name)
	}
	return all
}

// OtherFlows evaluates the flows for which a dialect has no rule.
type OtherFlows struct {
	Scope
	NoRule func(flow.Flow) string // why the dialect has no rule for such a flow, or ""
	NoName func(Direction, flow.Endpoint) string
}

// Decides reports whether the policy at this end of a flow decides. If both ends have a policy, only that of the
// source does.
func (o OtherFlows) Decides(d Direction, f flow.Flow) bool {
	if d == Egress {
		return true
	}
	_, hasPolicy := o.SubjectOf(f.Source)
	w, _ := o.SubjectOf(f.Destination)
	return !hasPolicy && slices.ContainsFunc(o.Subjects, func(s Subject) bool {
		return s.AllTraffic && s.Name == w.Name && s.Namespace == w.Namespace
	})
}

// EvaluateOther returns the verdict of the policies' lists on a flow for which the dialect has no rule. first is the
// policy that denies it.
func EvaluateOther[P metav1.Object](
	o OtherFlows, policies []P, first string, subject Workload, d Direction, f flow.Flow,
) Verdict {
	if why := o.NoName(d, d.PeerEnd(f)); why != "" {
		return Verdict{Outcome: Inexpressible, Rule: -1, Reason: why}
	}
	if len(policies) == 0 {
		return Verdict{Outcome: Unprotected, Rule: -1, Reason: fmt.Sprintf("no policy selects %s", subject.Name)}
	}
	for _, p := range policies {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace)
		if entry, listed := othersIn(p, d).find(o.Scope, namespace, d, f); listed {
			return Verdict{
				Outcome: Allowed, Policy: p.GetName(), Rule: -1,
				Reason: fmt.Sprintf("the annotation %s lists %s", otherAnnotation(d), entry),
			}
		}
	}
	reason := fmt.Sprintf("%s is not in the annotation %s, which lists flows that no rule can express: %s",
		o.otherEntry(subject, d, f), otherAnnotation(d), o.NoRule(f))
	if advice := ignoring(f.Destination); advice != "" {
		reason += "; -update adds it, " + advice + " leaves it out"
	}
	return Verdict{Outcome: Denied, Policy: cmp.Or(first, policies[0].GetName()), Rule: -1, Reason: reason}
}

// ignoring returns the option that excludes all flows to an endpoint, or "".
func ignoring(e flow.Endpoint) string {
	switch {
	case e.Kind == flow.Address:
		return fmt.Sprintf("Ignore(%q)", EndpointAddress(e))
	case e.Name == "" || e.Kind == flow.Anyone:
		return ""
	}
	return fmt.Sprintf("Ignore(%q)", e.Name)
}

// otherEntries returns the entries that a subject's flows in a direction need, sorted.
func otherEntries(o OtherFlows, subject Subject, d Direction, flows SubjectFlows) []string {
	var entries []string
	for _, f := range o.others(subject, d, flows) {
		entries = append(entries, o.otherEntry(subject.Workload, d, f))
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

// others returns the flows of a subject in a direction that its lists decide.
func (o OtherFlows) others(subject Subject, d Direction, flows SubjectFlows) []flow.Flow {
	if d == Ingress && !subject.AllTraffic {
		return nil
	}
	var others []flow.Flow
	for _, f := range flows.Of(subject.Workload, d) {
		if !f.Lookup && o.NoRule(f) != "" && o.NoName(d, d.PeerEnd(f)) == "" && o.Decides(d, f) {
			others = append(others, f)
		}
	}
	return others
}

// ListOthers writes the lists of a generated policy.
func ListOthers(o OtherFlows, p metav1.Object, subject Subject, flows SubjectFlows) {
	for _, d := range Directions {
		if entries := otherEntries(o, subject, d, flows); len(entries) > 0 {
			SetEntries(p, otherAnnotation(d), entries)
		}
	}
}

// unusedOthers returns the entries of a policy that match no flow of the subjects that its list applies to.
func unusedOthers(
	o OtherFlows, p metav1.Object, listed func(Direction) []Subject, d Direction, flows SubjectFlows,
) []string {
	subjects := listed(d)
	if d == Ingress && slices.ContainsFunc(subjects, func(s Subject) bool { return !s.AllTraffic }) {
		return nil // the test did not see all callers
	}
	list := othersIn(p, d)
	used := make([]bool, len(list.all))
	for _, subject := range subjects {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace)
		if len(list.all) == 0 {
			return nil
		}
		for _, f := range o.others(subject, d, flows) {
			for _, entry := range exactly(o.Scope, namespace, d, f) {
				if i, listed := list.exact[entry]; listed {
					used[i] = true
				}
			}
			for _, i := range list.wide {
				used[i] = used[i] || list.all[i].matches(o.Scope, namespace, d, f)
			}
		}
	}
	var unused []string
	for i, entry := range list.all {
		if len(subjects) > 0 && !used[i] {
			unused = append(unused, entry.String())
		}
	}
	return unused
}

// DescribeUnusedOthers returns one line for each entry that no flow of the subjects needed.
func DescribeUnusedOthers(
	o OtherFlows, p metav1.Object, listed func(Direction) []Subject, flows SubjectFlows,
) []string {
	var lines []string
	for _, d := range Directions {
		for _, entry := range unusedOthers(o, p, listed, d, flows) {
			lines = append(lines, fmt.Sprintf("policy %s: annotation %s: %s", p.GetName(), otherAnnotation(d), entry))
		}
	}
	return lines
}

// DropOthers removes the entries that match no flow of the subjects from a policy's lists.
func DropOthers(o OtherFlows, p metav1.Object, listed func(Direction) []Subject, flows SubjectFlows) {
	for _, d := range Directions {
		unused := unusedOthers(o, p, listed, d, flows)
		if len(unused) > 0 {
			DropEntries(p, otherAnnotation(d), func(entry string) bool { return !slices.Contains(unused, entry) })
		}
	}
}

// FoldOthers replaces each name in a policy's list that matches a pattern of Fold by that pattern, in place.
func (s Scope) FoldOthers(p metav1.Object) {
	entries := EntriesOf(p, OtherAnnotation)
	var folded []string
	for _, entry := range entries {
		o, err := ParseOther(Egress, entry)
		if err == nil && !o.prefix.IsValid() && IsHost(o.peer) && !isWorkloadName(o.peer) {
			o.peer = s.Folded(o.peer)
			entry = o.String()
		}
		if !slices.Contains(folded, entry) {
			folded = append(folded, entry)
		}
	}
	if !slices.Equal(entries, folded) {
		SetEntries(p, OtherAnnotation, folded)
	}
}

// AddOthers adds the flows of each subject that no rule can allow and no list holds to the policy with the subject's
// name.
func AddOthers[P metav1.Object](
	o OtherFlows, flows SubjectFlows, compile func(Workload, Direction) func(flow.Flow) Verdict, own func(Workload) P,
) {
	for _, subject := range o.Subjects {
		for _, d := range Directions {
			others := o.others(subject, d, flows)
			if len(others) == 0 {
				continue
			}
			var missing []string
			verdict := compile(subject.Workload, d)
			for _, f := range others {
				if verdict(f).Outcome != Allowed {
					missing = append(missing, o.otherEntry(subject.Workload, d, f))
				}
			}
			if len(missing) > 0 {
				AddEntries(own(subject.Workload), otherAnnotation(d), missing)
			}
		}
	}
}
