package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestLookups_WithoutAnswer(t *testing.T) {
	scope := alone(checkout)
	for name, f := range map[string]flow.Flow{
		"telemetry.vendor.example:*": lookup(host("telemetry.vendor.example")),
		"a%20b%2C%3A%2A.example:*":   lookup(host("a b,:*.example")),
		"%FF%25.example:*":           lookup(host("\xff%.example")),
		"nowhere:*":                  lookup(workload("nowhere")),
		"db.shop.svc:*":              lookup(workloadIn("shop", "db")),
	} {
		followLookup(t, kubernetesOf(scope), name, f)
		followLookup(t, ciliumOf(ciliumpolicy.Dialect{Scope: scope}), name, f)
	}
}

// followLookup tests the entry for a lookup through the life of a file.
func followLookup[P metav1.Object](t *testing.T, in inBoth[P], entry string, f flow.Flow) {
	t.Helper()
	is := func(what string, policies []P, want string) {
		t.Helper()
		if got := list(policies, policy.NamesAnnotation); got != want {
			t.Errorf("%s: %s lists %q, want %q", entry, what, got, want)
		}
		for _, p := range policies {
			if err := in.validate(p); err != nil {
				t.Errorf("%s: %v", entry, err)
			}
		}
	}
	outcome := func(what string, policies []P, f flow.Flow, want policy.Outcome) policy.Verdict {
		t.Helper()
		v := in.evaluate(policies, f)
		if v.Outcome != want {
			t.Errorf("%s: %s: %s is %s: %s", entry, what, f.Target(), v.Outcome, v.Reason)
		}
		return v
	}
	empty := in.generate()
	v := outcome("nothing allowed", empty, f, policy.Denied)
	if !strings.Contains(v.Reason, "-update adds "+entry) || !strings.Contains(v.Reason, "Ignore(") {
		t.Errorf("%s: the reason does not say what to do: %s", entry, v.Reason)
	}
	policies := in.generate(f)
	is("generated", policies, entry)
	is("merged into nothing", in.merge(nil, f), entry)
	is("merged", in.merge(empty, f), entry)
	is("extended", in.extend(empty, f), entry)
	is("merged again", in.merge(policies, f), entry)
	outcome("its own entry", policies, f, policy.Allowed)
	if unused := in.unused(policies, f); len(unused) > 0 {
		t.Errorf("%s: unused: %q", entry, unused)
	}
	for _, d := range (networkpolicy.Dialect{}).Required([]flow.Flow{f})[1:] {
		outcome("the resolver", policies, d, policy.Allowed)
	}

	// The entry opens no port, and applies to no other name.
	other := f
	other.Destination.Name = "x" + f.Destination.Name
	outcome("another name", policies, other, policy.Denied)
	if f.Destination.Kind == flow.Workload {
		other = f
		other.Destination.Namespace = "elsewhere"
		outcome("another namespace", policies, other, policy.Denied)
	}
	dial := f
	dial.Lookup, dial.Protocol, dial.Port = false, flow.TCP, 443
	if f.Destination.Kind == flow.External {
		dial.Destination = external(f.Destination.Name, "203.0.113.9")
	}
	outcome("a port", policies, dial, policy.Denied)

	// The lookup is no longer needed, or the name has a port now.
	if unused := in.unused(policies); !slices.Contains(unused, "policy checkout: name "+entry) {
		t.Errorf("%s: unused: %q", entry, unused)
	}
	is("merged without", in.merge(policies), "")
	named := strings.Replace(entry, "*", "443/TCP", 1)
	if _, isCilium := any(policies[0]).(*cilium.NetworkPolicy); isCilium || f.Destination.Kind == flow.Workload {
		named = ""
	}
	if policy.IsHost(f.Destination.Name) { // a flow to any other name is written as its address, without the name
		is("merged with a port", in.merge(policies, f, dial), named)
		is("merged with a port only", in.merge(policies, dial), named)
		is("generated with a port", in.generate(f, dial), named)
		outcome("a port of the name", in.generate(dial), f, policy.Allowed)
		if unused := in.unused(in.generate(dial), f); len(unused) > 0 {
			t.Errorf("%s: the entry that allows the lookup is unused: %q", entry, unused)
		}
		if diff := cmp.Diff(in.generate(dial), in.merge(in.generate(dial), f), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: an update without an answer changed the policy (-before +after):\n%s", entry, diff)
		}
		if unused := in.unused(in.extend(policies, dial), f, dial); !slices.Contains(unused, "policy checkout: name "+entry) {
			t.Errorf("%s: beside its port the entry is of use: %q", entry, unused)
		}
	}

	// A union holds the entry, unless a part has the name at a port.
	for _, sets := range [][][]P{{policies, empty}, {empty, policies}, {policies, policies}} {
		united, err := in.unite(sets...)
		if err != nil {
			t.Fatal(err)
		}
		is("the union", united, entry)
		outcome("in the union", united, f, policy.Allowed)
	}
	if policy.IsHost(f.Destination.Name) && f.Destination.Namespace == "" {
		for _, sets := range [][][]P{{policies, in.generate(dial)}, {in.generate(dial), policies}} {
			united, err := in.unite(sets...)
			if err != nil {
				t.Fatal(err)
			}
			is("the union with its port", united, named)
			outcome("in the union with its port", united, f, policy.Allowed)
		}
	}
}

func TestLookups_HandWrittenRules(t *testing.T) {
	telemetry, db := lookup(host("telemetry.vendor.example")), lookup(workload("db"))
	for _, row := range []struct {
		reason, annotations, rules string
		flow                       flow.Flow
		want                       policy.Outcome
	}{
		{"a pattern with a port", "*.vendor.example:443/TCP", theInternet, telemetry, policy.Allowed},
		{"a name at an address inside", "telemetry.vendor.example:636/TCP", theDirectory, telemetry, policy.Allowed},
		{"a pattern for lookups", "*.example:*", "", telemetry, policy.Allowed},
		{"of another host", "api.vendor.example:*", "", telemetry, policy.Denied},
		{"the internet, for other names", "api.vendor.example:443/TCP", theInternet, telemetry, policy.Denied},
		{"a range that may contain it", "", "  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n", telemetry, policy.Denied},
		{"any port of everything", "", "  - {ports: [{port: 80}]}\n", telemetry, policy.Allowed},
		{"everything", "", "  - {}\n", db, policy.Allowed},
		{"the pods", "", "  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}\n", db, policy.Allowed},
		{
			"other pods", "",
			"  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 5432}]}\n",
			db, policy.Denied,
		},
		{"a workload by its whole name", "db.default.svc:*", "", db, policy.Allowed},
		{"a workload's name with a port is a host's", "db:443/TCP", "", db, policy.Denied},
	} {
		policies := parse(t, header+row.rules)
		if row.annotations != "" {
			policies[0].Annotations = map[string]string{policy.NamesAnnotation: row.annotations}
		}
		if v := (networkpolicy.Dialect{Scope: alone(checkout)}).Evaluate(policies, row.flow); v.Outcome != row.want {
			t.Errorf("%s: %s: %s", row.reason, v.Outcome, v.Reason)
		}
	}
	for _, row := range []struct {
		reason, rules string
		flow          flow.Flow
		want          policy.Outcome
	}{
		{
			"a name",
			`  egress: [{toFQDNs: [{matchName: telemetry.vendor.example}], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}]`,
			telemetry, policy.Allowed,
		},
		{"a pattern", `  egress: [{toFQDNs: [{matchPattern: "*.vendor.example"}]}]`, telemetry, policy.Allowed},
		{"another name", `  egress: [{toFQDNs: [{matchName: api.vendor.example}]}]`, telemetry, policy.Denied},
		{"the world", "  egress: [{toEntities: [world]}]", telemetry, policy.Allowed},
		{"the world's pings", "  egress: [{toEntities: [world], icmps: [{fields: [{type: 8}]}]}]", telemetry, policy.Denied},
		{
			"the world, but a rule denies it",
			"  egress: [{toEntities: [world]}]\n  egressDeny: [{toEntities: [world]}]",
			telemetry, policy.Denied,
		},
		{
			"the world, but a rule denies a port",
			"  egress: [{toEntities: [world]}]\n  egressDeny: [{toEntities: [world], " +
				"toPorts: [{ports: [{port: \"80\", protocol: TCP}]}]}]",
			telemetry, policy.Allowed,
		},
		{"the pods", "  egress: [{toEndpoints: [{matchLabels: {app: db}}]}]", db, policy.Allowed},
		{"other pods", "  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}]", db, policy.Denied},
	} {
		if v := (ciliumpolicy.Dialect{Scope: alone(checkout)}).Evaluate(
			ciliumpolicy.Policies{ciliumPolicy(t, row.rules)}, row.flow,
		); v.Outcome != row.want {
			t.Errorf("%s: %s: %s", row.reason, v.Outcome, v.Reason)
		}
	}
}

func TestLookups_Fold(t *testing.T) {
	scope := alone(checkout)
	scope.Fold = []string{"shard-*.db.example"}
	flows := []flow.Flow{lookup(host("shard-1.db.example")), lookup(host("shard-2.db.example"))}
	const want = "shard-*.db.example:*"
	for _, policies := range []kubernetesPolicies{
		(networkpolicy.Dialect{Scope: scope}).Generate(flows),
		(networkpolicy.Dialect{Scope: scope}).Merge(networkpolicy.Dialect{Scope: alone(checkout)}.Generate(flows[:1]), flows),
		(networkpolicy.Dialect{Scope: scope}).Extend(networkpolicy.Dialect{Scope: scope}.Generate(flows[:1]), flows),
	} {
		if got := list(policies, policy.NamesAnnotation); got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
	for _, policies := range []ciliumpolicy.Policies{
		ciliumpolicy.Dialect{Scope: scope}.Generate(flows),
		ciliumpolicy.Dialect{Scope: scope}.Merge(ciliumpolicy.Dialect{Scope: alone(checkout)}.Generate(flows[:1]), flows),
	} {
		if got := list(policies, policy.NamesAnnotation); got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
}
