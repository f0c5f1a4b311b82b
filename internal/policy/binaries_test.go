package policy_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// listing is the part of a dialect that the tests of program lists use.
type listing[P metav1.Object] interface {
	Generate([]flow.Flow) []P
	Merge([]P, []flow.Flow) []P
	Extend([]P, []flow.Flow) []P
	Unused([]P, []flow.Flow) []string
	Unlisted([]P, flow.Flow, string) string
}

func TestBinaries_Listed(t *testing.T) {
	plain := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "shop"}}}}
	with := plain
	with.Binaries = true
	t.Run("NetworkPolicy", func(t *testing.T) {
		checkListing(t, networkpolicy.Dialect{Scope: plain}, networkpolicy.Dialect{Scope: with})
	})
	t.Run("CiliumNetworkPolicy", func(t *testing.T) {
		checkListing(t, ciliumpolicy.Dialect{Scope: plain}, ciliumpolicy.Dialect{Scope: with})
	})
}

// openedBy returns a flow opened by the programs: "curl,psql".
func openedBy(binaries string) []flow.Flow {
	return []flow.Flow{{
		Source:      flow.Endpoint{Kind: flow.Workload, Name: "shop"},
		Destination: flow.Endpoint{Kind: flow.Workload, Name: "db"},
		Protocol:    flow.TCP, Port: 5432,
		Binaries: strings.FieldsFunc(binaries, func(r rune) bool { return r == ',' }),
	}}
}

func checkListing[P metav1.Object](t *testing.T, plain, with listing[P]) {
	list := func(policies []P) string {
		value, has := policies[0].GetAnnotations()[policy.BinariesAnnotation]
		if !has {
			return "none"
		}
		return value
	}
	listed := func(value string) []P {
		policies := plain.Generate(openedBy(""))
		policies[0].SetAnnotations(map[string]string{policy.BinariesAnnotation: value})
		return policies
	}
	for _, row := range []struct {
		reason   string
		binaries string
		want     string
	}{
		{"sorted", "curl,psql", "curl,psql"},
		{"the test's own program is in no list, which is there all the same", "", ""},
	} {
		if got := list(with.Generate(openedBy(row.binaries))); got != row.want {
			t.Errorf("%s: generated %q, want %q", row.reason, got, row.want)
		}
		if got := list(plain.Generate(openedBy(row.binaries))); got != "none" {
			t.Errorf("%s: generated %q without the option", row.reason, got)
		}
	}
	for _, row := range []struct {
		reason          string
		list, binaries  string
		merged, extends string
	}{
		{"what is missing comes where it sorts", "curl,wget", "curl,psql,wget", "curl,psql,wget", "curl,psql,wget"},
		{"an unused entry is removed, but not by a partial run", "curl,psql", "psql", "psql", "curl,psql"},
		{"a pattern is for all that it matches", "c*,z*", "curl,cat", "c*", "c*,z*"},
		{"a lone asterisk is a choice", "*", "", "*", "*"},
		{"a person's order stays", "psql, curl", "curl,psql", "psql, curl", "psql, curl"},
	} {
		flows := openedBy(row.binaries)
		merged := with.Merge(listed(row.list), flows)
		if got := list(merged); got != row.merged {
			t.Errorf("%s: merged %q, want %q", row.reason, got, row.merged)
		}
		if got := list(with.Extend(listed(row.list), flows)); got != row.extends {
			t.Errorf("%s: extended %q, want %q", row.reason, got, row.extends)
		}
		if got := list(plain.Merge(listed(row.list), flows)); got != row.list {
			t.Errorf("%s: without the option merged %q, want it left alone", row.reason, got)
		}
		if again := list(with.Merge(merged, flows)); again != row.merged {
			t.Errorf("%s: merged again %q, want %q", row.reason, again, row.merged)
		}
		for _, binary := range policy.BinariesOf(flows, policy.Scope{}.Unnameable) {
			if why := with.Unlisted(merged, flows[0], binary); why != "" {
				t.Errorf("%s: %s", row.reason, why)
			}
		}
		if unused := with.Unused(merged, flows); len(unused) > 0 {
			t.Errorf("%s: unused after a merge: %q", row.reason, unused)
		}
		if dropped := row.merged != row.extends; dropped != (len(with.Unused(listed(row.list), flows)) > 0) {
			t.Errorf("%s: unused %q", row.reason, with.Unused(listed(row.list), flows))
		}
		if unused := plain.Unused(listed(row.list), flows); len(unused) > 0 {
			t.Errorf("%s: unused without the option: %q", row.reason, unused)
		}
	}
	silent := openedBy("udplite")
	silent[0].Protocol = 136
	if got := list(with.Generate(append(silent, openedBy("psql")...))); got != "psql,udplite" {
		t.Errorf("the program of a flow that another annotation allows is required, but not listed: %q", got)
	}
	if got := list(with.Merge(listed("psql,udplite"), append(silent, openedBy("psql")...))); got != "psql,udplite" {
		t.Errorf("an update drops who opens what the other annotation allows: %q", got)
	}
	f := openedBy("curl")[0]
	for _, row := range []struct {
		reason         string
		policies       []P
		optional, want string
	}{
		{"no list", plain.Generate(openedBy("")), "", "policy shop has no annotation netzero.dev/binaries"},
		{"an empty list", listed(""), "lists none", "lists none"},
		{
			"others", listed("psql"),
			"curl is not in the annotation netzero.dev/binaries of policy shop, which lists psql",
			"which lists psql",
		},
		{"a dot is no pattern", listed("cur."), "which lists cur.", "which lists cur."},
		{"itself", listed("curl"), "", ""},
		{"a pattern", listed("c*l"), "", ""},
		{"a pattern of more than a part", listed("curl*"), "", ""},
		{"a pattern of a part", listed("c*r"), "which lists c*r", "which lists c*r"},
		{"every program", listed("psql,*"), "", ""},
		{"twice", listed("curl,curl"), "", ""},
		{"with blanks", listed(" psql ,  curl "), "", ""},
		{"empty entries are no program", listed(",,"), "lists none", "lists none"},
		{"capitals are others", listed("CURL"), "which lists CURL", "which lists CURL"},
		{"a path is no name", listed("/usr/bin/curl"), "which lists /usr/bin/curl", "which lists /usr/bin/curl"},
		{
			"no more than three are named", listed("a,b,c,d,e"), "which lists a, b, c and 2 more",
			"which lists a, b, c and 2 more",
		},
	} {
		for _, got := range []struct{ got, want string }{
			{plain.Unlisted(row.policies, f, "curl"), row.optional},
			{with.Unlisted(row.policies, f, "curl"), row.want},
		} {
			if got.got != got.want && (got.want == "" || !strings.Contains(got.got, got.want)) {
				t.Errorf("%s: %q, want %q", row.reason, got.got, got.want)
			}
		}
	}
	others := append(listed("psql"), listed("curl")...)
	others[1].SetName("by-hand")
	for _, listings := range [][]P{others, {others[1], others[0]}} {
		if why := with.Unlisted(listings, f, "curl"); why != "" {
			t.Errorf("what one of two policies lists: %s", why)
		}
		if why := with.Unlisted(listings, f, "wget"); !strings.HasSuffix(why, "policy shop, which lists psql, curl") &&
			!strings.HasSuffix(why, "policy shop, which lists curl, psql") {
			t.Errorf("what neither of two policies lists: %q", why)
		}
		if got := list(with.Merge(others, openedBy("wget"))); got != "wget" {
			t.Errorf("an update lists %q, want what is new, and that in the policy of the workload's name", got)
		}
	}
	others[1].SetAnnotations(nil)
	if why := with.Unlisted(others, f, "wget"); !strings.HasSuffix(why, "policy shop, which lists psql") {
		t.Errorf("of two policies one has a list: %q", why)
	}
	if why := with.Unlisted(listed(""), flow.Flow{Source: flow.Endpoint{Kind: flow.Anyone}}, "curl"); why != "" {
		t.Errorf("of a program of another workload: %s", why)
	}
}
