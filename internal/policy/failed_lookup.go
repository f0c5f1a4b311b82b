package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A look-up that got no address is a flow of unknown protocol and port: whatever allows its name at some port allows it, and
// so does an entry of its own in [NamesAnnotation], "telemetry.example:*".

// lookupPort stands for the port in such an entry.
const lookupPort = "*"

// isLookup reports whether an entry is for look-ups only.
func (n allowedName) isLookup() bool { return n.port == 0 && n.protocol == 0 }

// hostOf returns an external host's name as an entry for look-ups has it: DNS names can hold any byte, and one that an entry
// could not hold is written as in URLs.
func hostOf(name string) string {
	if isHost(name) {
		return name
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// isEscapedHost reports whether a text is what hostOf makes of a name that is no host's.
func isEscapedHost(text string) bool {
	var name []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			name = append(name, text[i])
			continue
		}
		if i+2 >= len(text) {
			return false
		}
		c, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil {
			return false
		}
		name = append(name, byte(c))
		i += 2
	}
	return len(name) <= longestHost && strings.Contains(text, "%") && hostOf(string(name)) == text
}

// lookupHosts returns every way in which entries of a policy in a namespace may spell what was looked up.
func (s Scope) lookupHosts(namespace string, f flow.Flow) []string {
	if f.Destination.Kind == flow.External {
		return []string{hostOf(f.Destination.Name)}
	}
	return s.spellings(namespace, f.Destination)
}

// lookupEntry returns the entry for a subject's look-up.
func (s Scope) lookupEntry(subject Workload, f flow.Flow) string {
	host := s.spelled(subject, f.Destination)
	if f.Destination.Kind == flow.External {
		host = s.folded(hostOf(f.Destination.Name))
	}
	return allowedName{host: host}.String()
}

// matchesLookup reports whether an entry allows a look-up, of which lookupHosts gave the hosts.
func (n allowedName) matchesLookup(f flow.Flow, hosts []string) bool {
	return (n.isLookup() || f.Destination.Kind == flow.External) &&
		slices.ContainsFunc(hosts, func(host string) bool { return matchHost(n.host, host) })
}

// gatesNames reports whether a policy lists the only names for which it opens the internet, be it none.
func gatesNames(p metav1.Object) bool {
	_, annotated := p.GetAnnotations()[NamesAnnotation]
	return annotated
}

// isWorkloadLookup reports whether an entry is for the look-up of a workload.
func isWorkloadLookup(entry string) bool {
	n, err := parseName(entry)
	return err == nil && n.isLookup() && isWorkloadName(n.host)
}

// matchLookup holds a look-up against one pair of a rule: it fits where a flow to that name would, at a port of the rule's.
func (v view) matchLookup(peer *networkingv1.NetworkPolicyPeer, port *networkingv1.NetworkPolicyPort, f flow.Flow) fit {
	if isAPIServer(f.Destination) {
		f.Lookup, f.Port, f.Protocol = false, apiServicePort, flow.TCP // which it is asked at
		return v.match(peer, port, f)
	}
	if peer == nil && v.keepsLookup(port, f) {
		return fit{peer: reserved, port: portFits}
	}
	if !isInternet(peer) || f.Destination.Kind != flow.External || !v.annotated {
		return fit{peer: v.fitPeer(peer, f), port: portFits}
	}
	nearest := fit{peer: unnamed, port: portFits}
	for _, n := range v.portsOf(f) {
		g := f
		g.Lookup, g.Port, g.Protocol = false, n.port, n.protocol
		if fit := (fit{peer: peerFits, port: v.fitPort(port, g)}); fit.compare(nearest) > 0 {
			nearest = fit
		}
	}
	return nearest
}

// portsOf returns the entries with a port that are for the host that was looked up.
func (v view) portsOf(f flow.Flow) []allowedName {
	hosts := v.scope.lookupHosts(v.namespace, f)
	isFor := func(n allowedName) bool { return !n.isLookup() && n.matchesLookup(f, hosts) }
	var found []allowedName
	if v.listed != nil {
		for i := range v.listed.forHosts(hosts) {
			if n := v.listed.all[i]; isFor(n) {
				found = append(found, n)
			}
		}
		return found
	}
	for _, n := range v.names {
		if isFor(n) {
			found = append(found, n)
		}
	}
	return found
}

// matchLookup is that of the other dialect. Cilium need not read a look-up that has no answer.
func (v ciliumView) matchLookup(peer ciliumPeerRef, port ciliumPortRef, f flow.Flow) fit {
	m := fit{peer: v.fitPeer(peer, f), port: portFits}
	if m.peer == unseen {
		m.peer = peerFits
	}
	if port.icmp != nil {
		m.port = otherPort
	}
	return m
}

// judgeLookup tells what the lists of policies say of a look-up that none of their rules is for. first is the policy that
// denies it.
func judgeLookup[P metav1.Object](s Scope, policies []P, first string, subject Workload, f flow.Flow) Verdict {
	for _, p := range policies {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, defaultNamespace)
		if n, listed := listedNames(p).lookup(f, s.lookupHosts(namespace, f)); listed {
			return Verdict{Outcome: Allowed, Policy: p.GetName(), Rule: -1, Reason: fmt.Sprintf("the annotation %s lists %s", NamesAnnotation, n)}
		}
	}
	reason := fmt.Sprintf("it was looked up and has no address here, and neither a rule nor the annotation %s is for %s; -update adds %s, %s leaves it out",
		NamesAnnotation, f.Destination, s.lookupEntry(subject, f), ignoring(f.Destination))
	return Verdict{Outcome: Denied, Policy: first, Rule: -1, Reason: reason}
}

// listedNames returns the well-formed entries of a policy's list of names, which nobody may change.
func listedNames(p metav1.Object) *nameIndex {
	return nameLists.of(p.GetAnnotations()[NamesAnnotation], func(text string) *nameIndex {
		names, _ := parseNames(text)
		return newNameIndex(names)
	})
}

var nameLists memo[*nameIndex]

// withoutLookups returns policies whose lists have no entry for look-ups only.
func withoutLookups[P metav1.Object](policies []P, clone func(P) P) []P {
	var all []P
	for _, p := range policies {
		names := listedNames(p).all
		if kept := slices.DeleteFunc(slices.Clone(names), allowedName.isLookup); len(kept) < len(names) {
			var entries []string
			for _, n := range kept {
				entries = append(entries, n.String())
			}
			p = clone(p)
			p.SetAnnotations(maps.Clone(p.GetAnnotations()))
			setEntries(p, NamesAnnotation, entries)
		}
		all = append(all, p)
	}
	return all
}

func shallowKubernetes(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy { q := *p; return &q }
func shallowCilium(p *cilium.NetworkPolicy) *cilium.NetworkPolicy                 { q := *p; return &q }

// lookupsOf returns the look-ups among flows.
func lookupsOf(flows []flow.Flow) []flow.Flow {
	var lookups []flow.Flow
	for _, f := range flows {
		if f.Lookup {
			lookups = append(lookups, f)
		}
	}
	return lookups
}

// unmetLookups returns the subject's look-ups that policies allow by an entry for look-ups only, or not at all.
func unmetLookups(lookups []flow.Flow, side func(flow.Flow) Verdict) []flow.Flow {
	return slices.DeleteFunc(lookups, func(f flow.Flow) bool { return side(f).Outcome == Allowed })
}

func (s Scope) unmetLookups(policies []*networkingv1.NetworkPolicy, subject Workload, flows []flow.Flow) []flow.Flow {
	lookups := lookupsOf(s.of(subject, egress, flows))
	if len(lookups) == 0 {
		return nil
	}
	stripped := withoutLookups(policies, shallowKubernetes)
	return unmetLookups(lookups, s.compile(stripped, subject, egress).verdict)
}

func (c Cilium) unmetLookups(policies ciliumPolicies, subject Workload, flows []flow.Flow) []flow.Flow {
	lookups := lookupsOf(c.of(subject, egress, flows))
	if len(lookups) == 0 {
		return nil
	}
	stripped := withoutLookups(policies, shallowCilium)
	return unmetLookups(lookups, c.compile(stripped, subject, egress).verdict)
}

// lookupEntries returns the entries for a subject's look-ups that its policy does not allow otherwise, sorted.
func (s Scope) lookupEntries(subject Workload, unmet []flow.Flow) []string {
	var entries []string
	for _, f := range unmet {
		entries = append(entries, s.lookupEntry(subject, f))
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

// unusedLookups returns the entries of a policy for look-ups only that allow none of its subjects' look-ups which nothing else
// allows.
func unusedLookups(s Scope, p metav1.Object, subjects []Subject, unmet func(Workload) []flow.Flow) []string {
	names := listedNames(p)
	if !slices.ContainsFunc(names.all, allowedName.isLookup) || len(subjects) == 0 {
		return nil
	}
	used := make([]bool, len(names.all))
	for _, subject := range subjects {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, defaultNamespace)
		for _, f := range unmet(subject.Workload) {
			hosts := s.lookupHosts(namespace, f)
			for i := range names.forHosts(hosts) {
				used[i] = used[i] || names.all[i].matchesLookup(f, hosts)
			}
		}
	}
	var unused []string
	for i, n := range names.all {
		if n.isLookup() && !used[i] {
			unused = append(unused, n.String())
		}
	}
	return unused
}

// unusedLookups returns the entries of a policy for look-ups only that nothing needs.
func (s Scope) unusedLookups(policies []*networkingv1.NetworkPolicy, p *networkingv1.NetworkPolicy, flows []flow.Flow) map[string]bool {
	unused := make(map[string]bool)
	for _, entry := range unusedLookups(s, p, s.isolatedBy(p, egress), func(w Workload) []flow.Flow { return s.unmetLookups(policies, w, flows) }) {
		unused[entry] = true
	}
	return unused
}

func describeUnusedNames(p metav1.Object, unused []string) []string {
	var lines []string
	for _, entry := range unused {
		lines = append(lines, fmt.Sprintf("policy %s: name %s", p.GetName(), entry))
	}
	return lines
}

// uniteLookups removes from the list of a union the entries for look-ups that the rest of it allows. An empty list stays
// where it gates something.
func uniteLookups(p metav1.Object, gates bool, allows func(flow.Flow) bool) {
	var kept []string
	entries := entriesOf(p, NamesAnnotation)
	for i, entry := range entries {
		n, err := parseName(entry)
		covers := func(other string) bool {
			o, err := parseName(other)
			return err == nil && other != entry && (o.isLookup() || !isWorkloadName(n.host)) &&
				(o.host == n.host || isHost(n.host) && matchHost(o.host, n.host))
		}
		switch {
		case err != nil || !n.isLookup():
		case slices.ContainsFunc(entries[:i], covers), slices.ContainsFunc(entries[i+1:], covers):
			continue
		case !strings.Contains(n.host, "*") && allows(n.lookup(p.GetName())):
			continue
		}
		kept = append(kept, entry)
	}
	switch {
	case len(kept) == len(entries):
	case len(kept) == 0 && !gates:
		delete(p.GetAnnotations(), NamesAnnotation)
	default:
		setEntries(p, NamesAnnotation, kept)
	}
}

// lookup returns a look-up that an entry allows, as far as that can be told from it.
func (n allowedName) lookup(source string) flow.Flow {
	f := flow.Flow{Source: flow.Endpoint{Kind: flow.Workload, Name: source}, Lookup: true}
	if isWorkloadName(n.host) {
		name, namespace, _ := strings.Cut(strings.TrimSuffix(n.host, serviceSuffix), ".")
		f.Destination = flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
		if name == flow.ClusterAPIServer.Name && namespace == flow.ClusterAPIServer.Namespace {
			f.Destination.Kind = flow.APIServer
		}
	} else {
		f.Destination = flow.Endpoint{Kind: flow.External, Name: n.host}
	}
	return f
}
