package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// A look-up that got no address is a flow of unknown protocol and port: whatever allows its name at some port allows it, and
// so does an entry of its own in [NamesAnnotation], "telemetry.example:*".

// lookupPort stands for the port in such an entry.
const lookupPort = "*"

// IsLookup reports whether an entry is for look-ups only.
func (n AllowedName) IsLookup() bool { return n.Port == 0 && n.Protocol == 0 }

// HostOf returns an external host's name as an entry for look-ups has it: DNS names can hold any byte, and one that an entry
// could not hold is written as in URLs.
func HostOf(name string) string {
	if IsHost(name) {
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
	return len(name) <= longestHost && strings.Contains(text, "%") && HostOf(string(name)) == text
}

// LookupHosts returns every way in which entries of a policy in a namespace may spell what was looked up.
func (s Scope) LookupHosts(namespace string, f flow.Flow) []string {
	if f.Destination.Kind == flow.External {
		return []string{HostOf(f.Destination.Name)}
	}
	return s.spellings(namespace, f.Destination)
}

// LookupEntry returns the entry for a subject's look-up.
func (s Scope) LookupEntry(subject Workload, f flow.Flow) string {
	host := s.Spelled(subject, f.Destination)
	if f.Destination.Kind == flow.External {
		host = s.Folded(HostOf(f.Destination.Name))
	}
	return AllowedName{Host: host}.String()
}

// MatchesLookup reports whether an entry allows a look-up, of which lookupHosts gave the hosts.
func (n AllowedName) MatchesLookup(f flow.Flow, hosts []string) bool {
	return (n.IsLookup() || f.Destination.Kind == flow.External) &&
		slices.ContainsFunc(hosts, func(host string) bool { return MatchHost(n.Host, host) })
}

// isWorkloadLookup reports whether an entry is for the look-up of a workload.
func isWorkloadLookup(entry string) bool {
	n, err := ParseName(entry)
	return err == nil && n.IsLookup() && isWorkloadName(n.Host)
}

// EvaluateLookup tells what the lists of policies say of a look-up that none of their rules is for. first is the policy that
// denies it.
func EvaluateLookup[P metav1.Object](s Scope, policies []P, first string, subject Workload, f flow.Flow) Verdict {
	for _, p := range policies {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace)
		if n, listed := ListedNames(p).Lookup(f, s.LookupHosts(namespace, f)); listed {
			return Verdict{Outcome: Allowed, Policy: p.GetName(), Rule: -1, Reason: fmt.Sprintf("the annotation %s lists %s", NamesAnnotation, n)}
		}
	}
	reason := fmt.Sprintf("it was looked up and has no address here, and neither a rule nor the annotation %s is for %s; -update adds %s, %s leaves it out",
		NamesAnnotation, f.Destination, s.LookupEntry(subject, f), ignoring(f.Destination))
	return Verdict{Outcome: Denied, Policy: first, Rule: -1, Reason: reason}
}

// ListedNames returns the well-formed entries of a policy's list of names, which nobody may change.
func ListedNames(p metav1.Object) *NameIndex {
	return nameLists.read(p.GetAnnotations()[NamesAnnotation], func(text string) *NameIndex {
		names, _ := parseNames(text)
		return NewNameIndex(names)
	})
}

var nameLists memo[*NameIndex]

// WithoutLookups returns policies whose lists have no entry for look-ups only.
func WithoutLookups[P metav1.Object](policies []P, clone func(P) P) []P {
	var all []P
	for _, p := range policies {
		names := ListedNames(p).All
		if kept := slices.DeleteFunc(slices.Clone(names), AllowedName.IsLookup); len(kept) < len(names) {
			var entries []string
			for _, n := range kept {
				entries = append(entries, n.String())
			}
			p = clone(p)
			p.SetAnnotations(maps.Clone(p.GetAnnotations()))
			SetEntries(p, NamesAnnotation, entries)
		}
		all = append(all, p)
	}
	return all
}

// LookupsOf returns the look-ups among flows.
func LookupsOf(flows []flow.Flow) []flow.Flow {
	var lookups []flow.Flow
	for _, f := range flows {
		if f.Lookup {
			lookups = append(lookups, f)
		}
	}
	return lookups
}

// UnmetLookups returns the subject's look-ups that policies allow by an entry for look-ups only, or not at all.
func UnmetLookups(lookups []flow.Flow, side func(flow.Flow) Verdict) []flow.Flow {
	return slices.DeleteFunc(lookups, func(f flow.Flow) bool { return side(f).Outcome == Allowed })
}

// LookupEntries returns the entries for a subject's look-ups that its policy does not allow otherwise, sorted.
func (s Scope) LookupEntries(subject Workload, unmet []flow.Flow) []string {
	var entries []string
	for _, f := range unmet {
		entries = append(entries, s.LookupEntry(subject, f))
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

// UnusedLookups returns the entries of a policy for look-ups only that allow none of its subjects' look-ups which nothing else
// allows.
func UnusedLookups(s Scope, p metav1.Object, subjects []Subject, unmet func(Workload) []flow.Flow) []string {
	names := ListedNames(p)
	if !slices.ContainsFunc(names.All, AllowedName.IsLookup) || len(subjects) == 0 {
		return nil
	}
	used := make([]bool, len(names.All))
	for _, subject := range subjects {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace)
		for _, f := range unmet(subject.Workload) {
			hosts := s.LookupHosts(namespace, f)
			for i := range names.ForHosts(hosts) {
				used[i] = used[i] || names.All[i].MatchesLookup(f, hosts)
			}
		}
	}
	var unused []string
	for i, n := range names.All {
		if n.IsLookup() && !used[i] {
			unused = append(unused, n.String())
		}
	}
	return unused
}

// UniteLookups removes from the list of a union the entries for look-ups that the rest of it allows. An empty list stays
// where it gates something.
func UniteLookups(p metav1.Object, gates bool, allows func(flow.Flow) bool) {
	var kept []string
	entries := EntriesOf(p, NamesAnnotation)
	for i, entry := range entries {
		n, err := ParseName(entry)
		covers := func(other string) bool {
			o, err := ParseName(other)
			return err == nil && other != entry && (o.IsLookup() || !isWorkloadName(n.Host)) &&
				(o.Host == n.Host || IsHost(n.Host) && MatchHost(o.Host, n.Host))
		}
		switch {
		case err != nil || !n.IsLookup():
		case slices.ContainsFunc(entries[:i], covers), slices.ContainsFunc(entries[i+1:], covers):
			continue
		case !strings.Contains(n.Host, "*") && allows(n.lookup(p.GetName())):
			continue
		}
		kept = append(kept, entry)
	}
	switch {
	case len(kept) == len(entries):
	case len(kept) == 0 && !gates:
		delete(p.GetAnnotations(), NamesAnnotation)
	default:
		SetEntries(p, NamesAnnotation, kept)
	}
}

// lookup returns a look-up that an entry allows, as far as that can be told from it.
func (n AllowedName) lookup(source string) flow.Flow {
	f := flow.Flow{Source: flow.Endpoint{Kind: flow.Workload, Name: source}, Lookup: true}
	if isWorkloadName(n.Host) {
		name, namespace, _ := strings.Cut(strings.TrimSuffix(n.Host, ServiceSuffix), ".")
		f.Destination = flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
		if name == flow.ClusterAPIServer.Name && namespace == flow.ClusterAPIServer.Namespace {
			f.Destination.Kind = flow.APIServer
		}
	} else {
		f.Destination = flow.Endpoint{Kind: flow.External, Name: n.Host}
	}
	return f
}
