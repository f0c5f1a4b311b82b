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

// A lookup that got no address is a flow with unknown protocol and port. A rule or entry that allows its name at any
// port allows it. So does an entry of its own in [NamesAnnotation], "telemetry.example:*".

// lookupPort replaces the port in such an entry.
const lookupPort = "*"

// IsLookup reports whether an entry is for lookups only.
func (n AllowedName) IsLookup() bool { return n.Port == 0 && n.Protocol == 0 }

// HostOf returns an external host's name as an entry for lookups spells it. DNS names can hold any byte; a name that
// an entry cannot hold is escaped as in URLs.
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

// isEscapedHost reports whether a text is [HostOf] of a name that is not a host name.
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

// LookupHosts returns every spelling of the looked-up name that entries of a policy in a namespace may use.
func (s Scope) LookupHosts(namespace string, f flow.Flow) []string {
	if f.Destination.Kind == flow.External {
		return []string{HostOf(f.Destination.Name)}
	}
	return s.spellings(namespace, f.Destination)
}

// LookupEntry returns the entry for a subject's lookup.
func (s Scope) LookupEntry(subject Workload, f flow.Flow) string {
	host := s.Spelled(subject, f.Destination)
	if f.Destination.Kind == flow.External {
		host = s.Folded(HostOf(f.Destination.Name))
	}
	return AllowedName{Host: host}.String()
}

// MatchesLookup reports whether an entry allows a lookup. hosts are those that [Scope.LookupHosts] returned for it.
func (n AllowedName) MatchesLookup(f flow.Flow, hosts []string) bool {
	return (n.IsLookup() || f.Destination.Kind == flow.External) &&
		slices.ContainsFunc(hosts, func(host string) bool { return MatchHost(n.Host, host) })
}

// isWorkloadLookup reports whether an entry is for the lookup of a workload.
func isWorkloadLookup(entry string) bool {
	n, err := ParseName(entry)
	return err == nil && n.IsLookup() && isWorkloadName(n.Host)
}

// EvaluateLookup returns the verdict of the policies' lists on a lookup that no rule allows. first is the policy that
// denies it.
func EvaluateLookup[P metav1.Object](s Scope, policies []P, first string, subject Workload, f flow.Flow) Verdict {
	for _, p := range policies {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, DefaultNamespace)
		if n, listed := ListedNames(p).Lookup(f, s.LookupHosts(namespace, f)); listed {
			return Verdict{
				Outcome: Allowed, Policy: p.GetName(), Rule: -1,
				Reason: fmt.Sprintf("the annotation %s lists %s", NamesAnnotation, n),
			}
		}
	}
	reason := fmt.Sprintf("it was looked up and has no address here, "+
		"and neither a rule nor the annotation %s is for %s; -update adds %s, %s leaves it out",
		NamesAnnotation, f.Destination, s.LookupEntry(subject, f), ignoring(f.Destination))
	return Verdict{Outcome: Denied, Policy: first, Rule: -1, Reason: reason}
}

// ListedNames returns the well-formed entries of a policy's list of names. The result is shared and must not be
// modified.
func ListedNames(p metav1.Object) *NameIndex {
	return nameLists.read(p.GetAnnotations()[NamesAnnotation], func(text string) *NameIndex {
		names, _ := parseNames(text)
		return NewNameIndex(names)
	})
}

var nameLists memo[*NameIndex]

// WithoutLookups returns the policies without entries that are for lookups only.
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

// LookupsOf returns the lookups among the flows.
func LookupsOf(flows []flow.Flow) []flow.Flow {
	var lookups []flow.Flow
	for _, f := range flows {
		if f.Lookup {
			lookups = append(lookups, f)
		}
	}
	return lookups
}

// UnmetLookups returns the lookups that the policies allow only by an entry for lookups, or not at all.
func UnmetLookups(lookups []flow.Flow, side func(flow.Flow) Verdict) []flow.Flow {
	return slices.DeleteFunc(lookups, func(f flow.Flow) bool { return side(f).Outcome == Allowed })
}

// LookupEntries returns the entries for those of a subject's lookups that its policy does not allow otherwise,
// sorted.
func (s Scope) LookupEntries(subject Workload, unmet []flow.Flow) []string {
	var entries []string
	for _, f := range unmet {
		entries = append(entries, s.LookupEntry(subject, f))
	}
	slices.Sort(entries)
	return slices.Compact(entries)
}

// UnusedLookups returns the policy's entries for lookups only that no lookup of its subjects needs.
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

// UniteLookups removes from a union's list the entries for lookups that the rest of the union allows. If gates is
// set, it keeps the list even if it becomes empty.
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

// lookup returns a lookup that an entry allows, reconstructed from the entry.
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
