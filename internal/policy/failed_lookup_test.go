package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// lookup is a look-up that got no address.
func lookup(to flow.Endpoint) flow.Flow {
	return flow.Flow{Source: workload("checkout"), Destination: to, Count: 1, Lookup: true}
}

func host(name string) flow.Endpoint { return flow.Endpoint{Kind: flow.External, Name: name} }

func TestLookupsWithoutAnAnswer(t *testing.T) {
	scope := alone(checkout)
	for name, f := range map[string]flow.Flow{
		"telemetry.vendor.example:*": lookup(host("telemetry.vendor.example")),
		"a%20b%2C%3A%2A.example:*":   lookup(host("a b,:*.example")),
		"%FF%25.example:*":           lookup(host("\xff%.example")),
		"nowhere:*":                  lookup(workload("nowhere")),
		"db.shop.svc:*":              lookup(workloadIn("shop", "db")),
	} {
		followLookup(t, kubernetesOf(scope), name, f)
		followLookup(t, ciliumOf(Cilium{scope}), name, f)
	}
}

// followLookup follows the entry for a look-up through the life of a file.
func followLookup[P metav1.Object](t *testing.T, in inBoth[P], entry string, f flow.Flow) {
	t.Helper()
	is := func(what string, policies []P, want string) {
		t.Helper()
		if got := list(policies, NamesAnnotation); got != want {
			t.Errorf("%s: %s lists %q, want %q", entry, what, got, want)
		}
		for _, p := range policies {
			if err := in.validate(p); err != nil {
				t.Errorf("%s: %v", entry, err)
			}
		}
	}
	outcome := func(what string, policies []P, f flow.Flow, want Outcome) Verdict {
		t.Helper()
		v := in.evaluate(policies, f)
		if v.Outcome != want {
			t.Errorf("%s: %s: %s is %s: %s", entry, what, f.Target(), v.Outcome, v.Reason)
		}
		return v
	}
	empty := in.generate()
	v := outcome("nothing allowed", empty, f, Denied)
	if !strings.Contains(v.Reason, "-update adds "+entry) || !strings.Contains(v.Reason, "Ignore(") {
		t.Errorf("%s: the reason does not say what to do: %s", entry, v.Reason)
	}
	policies := in.generate(f)
	is("generated", policies, entry)
	is("merged into nothing", in.merge(nil, f), entry)
	is("merged", in.merge(empty, f), entry)
	is("extended", in.extend(empty, f), entry)
	is("merged again", in.merge(policies, f), entry)
	outcome("its own entry", policies, f, Allowed)
	if unused := in.unused(policies, f); len(unused) > 0 {
		t.Errorf("%s: unused: %q", entry, unused)
	}
	for _, d := range Required([]flow.Flow{f})[1:] {
		outcome("the resolver", policies, d, Allowed)
	}

	// The entry opens no port, and is for nobody else.
	other := f
	other.Destination.Name = "x" + f.Destination.Name
	outcome("another name", policies, other, Denied)
	if f.Destination.Kind == flow.Workload {
		other = f
		other.Destination.Namespace = "elsewhere"
		outcome("another namespace", policies, other, Denied)
	}
	dial := f
	dial.Lookup, dial.Protocol, dial.Port = false, flow.TCP, 443
	if f.Destination.Kind == flow.External {
		dial.Destination = external(f.Destination.Name, "203.0.113.9")
	}
	outcome("a port", policies, dial, Denied)

	// Nobody needs it any more, or the name got a port.
	if unused := in.unused(policies); !slices.Contains(unused, "policy checkout: name "+entry) {
		t.Errorf("%s: unused: %q", entry, unused)
	}
	is("merged without", in.merge(policies), "")
	named := strings.Replace(entry, "*", "443/TCP", 1)
	if _, isCilium := any(policies[0]).(*cilium.NetworkPolicy); isCilium || f.Destination.Kind == flow.Workload {
		named = ""
	}
	if isHost(f.Destination.Name) { // others are addresses, which say nothing of the name
		is("merged with a port", in.merge(policies, f, dial), named)
		is("merged with a port only", in.merge(policies, dial), named)
		is("generated with a port", in.generate(f, dial), named)
		outcome("a port of the name", in.generate(dial), f, Allowed)
		if unused := in.unused(in.generate(dial), f); len(unused) > 0 {
			t.Errorf("%s: what allows the look-up is unused: %q", entry, unused)
		}
		if diff := cmp.Diff(in.generate(dial), in.merge(in.generate(dial), f), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: an update without an answer changed the policy (-before +after):\n%s", entry, diff)
		}
		if unused := in.unused(in.extend(policies, dial), f, dial); !slices.Contains(unused, "policy checkout: name "+entry) {
			t.Errorf("%s: beside its port the entry is of use: %q", entry, unused)
		}
	}

	// A union holds it, unless a part has the name at a port.
	for _, sets := range [][][]P{{policies, empty}, {empty, policies}, {policies, policies}} {
		united, err := in.unite(sets...)
		if err != nil {
			t.Fatal(err)
		}
		is("the union", united, entry)
		outcome("in the union", united, f, Allowed)
	}
	if isHost(f.Destination.Name) && f.Destination.Namespace == "" {
		for _, sets := range [][][]P{{policies, in.generate(dial)}, {in.generate(dial), policies}} {
			united, err := in.unite(sets...)
			if err != nil {
				t.Fatal(err)
			}
			is("the union with its port", united, named)
			outcome("in the union with its port", united, f, Allowed)
		}
	}
}

func TestWhatPeopleWriteAllowsLookups(t *testing.T) {
	telemetry, db := lookup(host("telemetry.vendor.example")), lookup(workload("db"))
	for _, row := range []struct {
		reason, annotations, rules string
		flow                       flow.Flow
		want                       Outcome
	}{
		{"a pattern with a port", "*.vendor.example:443/TCP", theInternet, telemetry, Allowed},
		{"a name at an address inside", "telemetry.vendor.example:636/TCP", theDirectory, telemetry, Allowed},
		{"a pattern for look-ups", "*.example:*", "", telemetry, Allowed},
		{"of another host", "api.vendor.example:*", "", telemetry, Denied},
		{"the internet, for other names", "api.vendor.example:443/TCP", theInternet, telemetry, Denied},
		{"a range that may hold it, or not", "", "  - {to: [{ipBlock: {cidr: 203.0.113.0/24}}]}\n", telemetry, Denied},
		{"any port of everything", "", "  - {ports: [{port: 80}]}\n", telemetry, Allowed},
		{"everything", "", "  - {}\n", db, Allowed},
		{"the pods", "", "  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}\n", db, Allowed},
		{"other pods", "", "  - {to: [{podSelector: {matchLabels: {app: cache}}}], ports: [{port: 5432}]}\n", db, Denied},
		{"a workload by its whole name", "db.default.svc:*", "", db, Allowed},
		{"a workload's name with a port is a host's", "db:443/TCP", "", db, Denied},
	} {
		policies := parse(t, header+row.rules)
		if row.annotations != "" {
			policies[0].Annotations = map[string]string{NamesAnnotation: row.annotations}
		}
		if v := alone(checkout).Evaluate(policies, row.flow); v.Outcome != row.want {
			t.Errorf("%s: %s: %s", row.reason, v.Outcome, v.Reason)
		}
	}
	for _, row := range []struct {
		reason, rules string
		flow          flow.Flow
		want          Outcome
	}{
		{"a name", `  egress: [{toFQDNs: [{matchName: telemetry.vendor.example}], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}]`, telemetry, Allowed},
		{"a pattern", `  egress: [{toFQDNs: [{matchPattern: "*.vendor.example"}]}]`, telemetry, Allowed},
		{"another name", `  egress: [{toFQDNs: [{matchName: api.vendor.example}]}]`, telemetry, Denied},
		{"the world", "  egress: [{toEntities: [world]}]", telemetry, Allowed},
		{"the world's pings", "  egress: [{toEntities: [world], icmps: [{fields: [{type: 8}]}]}]", telemetry, Denied},
		{"the world, but a rule denies it", "  egress: [{toEntities: [world]}]\n  egressDeny: [{toEntities: [world]}]", telemetry, Denied},
		{"the world, but a rule denies a port", "  egress: [{toEntities: [world]}]\n  egressDeny: [{toEntities: [world], toPorts: [{ports: [{port: \"80\", protocol: TCP}]}]}]", telemetry, Allowed},
		{"the pods", "  egress: [{toEndpoints: [{matchLabels: {app: db}}]}]", db, Allowed},
		{"other pods", "  egress: [{toEndpoints: [{matchLabels: {app: cache}}]}]", db, Denied},
	} {
		if v := (Cilium{alone(checkout)}).Evaluate(ciliumPolicies{ciliumPolicy(t, row.rules)}, row.flow); v.Outcome != row.want {
			t.Errorf("%s: %s: %s", row.reason, v.Outcome, v.Reason)
		}
	}
}

// An entry for a look-up lets no name pass that the list kept away before. Where somebody removed the list, so that no name
// is checked, it comes back with a workload that has no rule, and holds what the flows need.
func TestLookupEntriesChangeNoGate(t *testing.T) {
	api := tcp(external("api.example", "203.0.113.9"), 443)
	open := parse(t, header+theInternet)
	for want, f := range map[string]flow.Flow{"": lookup(host("telemetry.example")), "api.example:443/TCP,nowhere:*": lookup(workload("nowhere"))} {
		flows := []flow.Flow{api, f}
		merged := alone(checkout).Merge(open, flows)
		if got := list(merged, NamesAnnotation); got != want {
			t.Errorf("%s: lists %q, want %q", f.Target(), got, want)
		}
		for _, allowed := range flows {
			if v := alone(checkout).Evaluate(merged, allowed); v.Outcome != Allowed {
				t.Errorf("%s is %s: %s", allowed.Target(), v.Outcome, v.Reason)
			}
		}
		if diff := cmp.Diff(merged, alone(checkout).Merge(merged, flows)); diff != "" {
			t.Errorf("the second update changes it (-first +second):\n%s", diff)
		}
	}
	closed := parse(t, header+theInternet)
	closed[0].Annotations = map[string]string{NamesAnnotation: "telemetry.example:*"}
	if v := alone(checkout).Evaluate(closed, api); v.Outcome != Denied {
		t.Errorf("an entry for a look-up opened the internet: %s", v.Reason)
	}
}

func TestLookupsFold(t *testing.T) {
	scope := alone(checkout)
	scope.Fold = []string{"shard-*.db.example"}
	flows := []flow.Flow{lookup(host("shard-1.db.example")), lookup(host("shard-2.db.example"))}
	const want = "shard-*.db.example:*"
	for _, policies := range []kubernetesPolicies{scope.Generate(flows), scope.Merge(alone(checkout).Generate(flows[:1]), flows), scope.Extend(scope.Generate(flows[:1]), flows)} {
		if got := list(policies, NamesAnnotation); got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
	for _, policies := range []ciliumPolicies{Cilium{scope}.Generate(flows), Cilium{scope}.Merge(Cilium{alone(checkout)}.Generate(flows[:1]), flows)} {
		if got := list(policies, NamesAnnotation); got != want {
			t.Errorf("lists %q, want %q", got, want)
		}
	}
}

// A workload that was looked up and not reached was not called.
func TestLookupsAreNoIngress(t *testing.T) {
	scope := Scope{Subjects: []Subject{{Workload: checkout}, {Workload{Name: "db"}, true}}}
	f := lookup(workload("db"))
	policies := scope.Generate([]flow.Flow{f})
	if hasType(policies[1], ingress) || len(policies[1].Spec.Ingress) > 0 {
		t.Errorf("db is a server:\n%s", toYAML(t, policies[1]))
	}
	if v := scope.Evaluate(policies, f); v.Outcome != Allowed || len(scope.NotIsolated(policies, []flow.Flow{f})) > 0 {
		t.Errorf("%s: %s", v.Outcome, v.Reason)
	}
}

func TestCiliumListsNoPorts(t *testing.T) {
	p := Cilium{alone(checkout)}.Generate(nil)[0]
	for entry, want := range map[string]string{"api.example:*": "", "api.example:443/TCP": "ports stand in toFQDNs", "api.example:*/TCP": "want a port", "a b:*": "want a host name", "*:*": "remove the annotation"} {
		p.Annotations = map[string]string{NamesAnnotation: entry}
		err := ValidateCilium(p)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}
