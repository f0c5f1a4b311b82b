package policytest

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ListedFlow draws a flow that annotations decide: one that no rule can express, a lookup of a name that other flows
// use, or a flow to or from a name that no policy can contain.
func (r Draw) ListedFlow(s policy.Scope) flow.Flow {
	f := r.FlowIn(s)
	w := Pick(r, s.Subjects...).Workload
	subject := WorkloadIn(Pick(r, w.Namespace, ""), w.Name)
	private, public := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("203.0.113.9")
	switch r.IntN(4) {
	case 0:
		f.Protocol = Pick[flow.Protocol](r, 47, flow.UDPLite, flow.ICMP, flow.ICMPv6, flow.TCP, flow.UDP, flow.SCTP)
		f.Port, f.Lookup = 0, false
		if f.Protocol == flow.UDPLite {
			f.Port = Pick[uint16](r, 0, 9)
		}
		if f.Protocol.IsICMP() {
			f.ICMPType = Pick[uint8](r, 0, 8, 13)
		}
	case 1:
		f = r.Lookup(subject)
	case 2:
		f = flow.Flow{Source: subject, Destination: r.Endpoint(), Lookup: true, Count: 1}
		if f.Destination.Kind == flow.Address || f.Destination.Kind == flow.Resolver {
			f.Destination = Host("x.corp.example")
		}
		if r.IntN(3) > 0 {
			f.Destination.Addr = netip.Addr{}
		}
	case 3:
		malformed := Pick(r, Host("a b.example"), Workload("no_label_"))
		malformed.Addr = Pick(r, private, public, netip.Addr{})
		f = ToPort(malformed, Pick(r, flow.TCP, flow.UDP), Pick[uint16](r, 80, 443, 5432))
		f.Source = subject
		if r.IntN(4) == 0 {
			f = Reversed(f)
		}
	}
	return f
}

// handWritten are entries of annotations as people write them, some of them malformed.
var handWritten = map[string][]string{
	policy.NamesAnnotation: {
		"telemetry.vendor.test:*", "*.vendor.test:443/TCP", "*.vendor.test:*", "a%20b.vendor.test:*",
		"nowhere:*", "nowhere.data.svc:*", "orders-db:*",
		"api.stripe.com:*", "api.stripe.com:80/TCP", "*.stripe.com:443/UDP",
		"*.corp.example:*", "*.db.example:5432/TCP", "malformed:", "*:*",
	},
	policy.OtherAnnotation: {
		"icmp-echo 10.0.0.0/8", "icmp-echo orders-db", "icmp-echo cache.data.svc",
		"ip-47 *.example", "ip-47 0.0.0.0/0", "udplite:9 mail", "udplite 203.0.113.9",
		"tcp:0 orders-db", "icmp-type-13 ::/0", "icmp-type-13 api.stripe.com", "malformed",
	},
	policy.OtherIngressAnnotation: {
		"icmp-echo anywhere", "ip-47 203.0.113.9", "udplite 203.0.113.0/24", "tcp:0 mail", "ip-47 mail",
	},
}

// EditAnnotations returns copies of policies with annotations as a person may have edited them.
func EditAnnotations[P interface {
	metav1.Object
	DeepCopy() P
}](r Draw, policies []P) []P {
	var all []P
	for _, p := range policies {
		p = p.DeepCopy()
		for _, annotation := range slices.Sorted(maps.Keys(handWritten)) {
			switch r.IntN(4) {
			case 0:
				delete(p.GetAnnotations(), annotation)
			case 1, 2:
				list := policy.EntriesOf(p, annotation)
				for range r.IntN(5) {
					list = append(list, Pick(r, handWritten[annotation]...))
				}
				r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
				policy.SetEntries(p, annotation, list)
			}
		}
		all = append(all, p)
	}
	return all
}

// Coverage counts the verdicts that a test compared, by outcome, and those of flows that annotations decide, by their
// kind and outcome.
type Coverage struct {
	outcomes map[policy.Outcome]int
	kinds    map[string]int
}

// NewCoverage returns a Coverage without verdicts.
func NewCoverage() Coverage { return Coverage{make(map[policy.Outcome]int), make(map[string]int)} }

// Add counts the verdict of a flow. inexpressible is true if no rule can express the flow.
func (c Coverage) Add(s policy.Scope, f flow.Flow, v policy.Verdict, inexpressible bool) {
	c.outcomes[v.Outcome]++
	byList := ""
	if v.Outcome == policy.Allowed && v.Rule < 0 {
		byList = " by a list"
	}
	if f.Lookup {
		c.kinds["lookup "+v.Outcome.String()+byList]++
	}
	if !f.Lookup && inexpressible {
		c.kinds["other "+v.Outcome.String()+byList]++
	}
	if evaluated := s.Normalized().ByAddress(f); evaluated.Destination.Kind != f.Destination.Kind {
		c.kinds["by address "+v.Outcome.String()]++
	}
}

// Check fails a test that compared no verdict of some kind.
func (c Coverage) Check(t *testing.T) {
	t.Helper()
	for _, outcome := range []policy.Outcome{policy.Denied, policy.Allowed, policy.Unprotected, policy.Inexpressible} {
		if c.outcomes[outcome] == 0 {
			t.Errorf("no flow was %s", outcome)
		}
	}
	for _, kind := range []string{
		"lookup allowed", "lookup allowed by a list", "lookup denied",
		"other allowed by a list", "other denied", "by address allowed", "by address denied",
	} {
		if c.kinds[kind] == 0 {
			t.Errorf("no flow was of the kind %q", kind)
		}
	}
}

// Lookups is what [Lookups.Check] needs of a dialect.
type Lookups struct {
	Scope    policy.Scope
	Subjects []policy.Subject // those that the policy isolates for egress
	Flows    []flow.Flow
	// Unmet returns the lookups of a workload that no rule allows.
	Unmet func(policy.Workload) []flow.Flow
	// WithoutLookups evaluates a flow against the policies without their entries for lookups.
	WithoutLookups func(policy.Workload, flow.Flow) policy.Verdict
}

// Check compares the unused entries of a policy for lookups, and the first entry that allows each lookup, with the
// results of matching each entry with each lookup.
func (l Lookups) Check(t *testing.T, p metav1.Object) {
	t.Helper()
	names := policy.ListedNames(p).All
	used := make([]bool, len(names))
	for _, subject := range l.Subjects {
		namespace := cmp.Or(p.GetNamespace(), subject.Namespace, policy.DefaultNamespace)
		for _, f := range l.Scope.BySubject(l.Flows).Of(subject.Workload, policy.Egress) {
			if !f.Lookup {
				continue
			}
			hosts := l.Scope.LookupHosts(namespace, f)
			first := slices.IndexFunc(names, func(n policy.AllowedName) bool { return n.MatchesLookup(f, hosts) })
			found, ok := policy.ListedNames(p).Lookup(f, hosts)
			if ok != (first >= 0) || ok && found != names[first] {
				t.Fatalf("policy %s: %s: entry %s, %v; want entry %d of %s", p.GetName(), Arrow(f), found, ok, first, names)
			}
			if l.WithoutLookups(subject.Workload, f).Outcome == policy.Allowed {
				continue
			}
			for i, n := range names {
				used[i] = used[i] || n.MatchesLookup(f, hosts)
			}
		}
	}
	var want []string
	for i, n := range names {
		if n.IsLookup() && !used[i] && len(l.Subjects) > 0 {
			want = append(want, n.String())
		}
	}
	if diff := gocmp.Diff(want, policy.UnusedLookups(l.Scope, p, l.Subjects, l.Unmet)); diff != "" {
		t.Fatalf("policy %s: unused lookups (-one by one +all):\n%s\n%s", p.GetName(), diff, ToYAML(t, p))
	}
}
