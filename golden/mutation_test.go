package golden

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	npolicy "github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// checks are the functions that check the policies of a golden file after a test.
type checks struct {
	npolicy.Dialect[Policy]
	empty func() Policy
}

// failure returns the reason why a test with these policies would fail, or "".
func (c checks) failure(policies []Policy, flows []flow.Flow) string {
	for _, f := range c.Required(flows) {
		if v := c.Evaluate(policies, f); v.Outcome == npolicy.Denied {
			return fmt.Sprintf("%s to %s is %s: %s", f.Source, f.Target(), v.Outcome, v.Reason)
		}
	}
	for _, f := range flows {
		for _, binary := range f.Binaries {
			if why := c.Unlisted(policies, f, binary); why != "" {
				return why
			}
		}
	}
	return strings.Join(c.NotIsolated(policies, flows), "; ")
}

// mutants calls yield with copies of the policies, each without one element: a document, a rule, one of several peers
// or ports, the namespace of a peer, one of two policy types, a DNS pattern, one of several HTTP rules, a name, a
// program, or the list of programs.
func (c checks) mutants(t *testing.T, policies []Policy, yield func(what string, mutant []Policy)) {
	t.Helper()
	for i, p := range policies {
		var others []any
		for k, q := range policies {
			if k != i {
				others = append(others, objectTree(t, q))
			}
		}
		back := func(trees []any) []Policy {
			var all []Policy
			for _, tree := range trees {
				p := c.empty()
				if err := json.Unmarshal(encode(tree), p); err != nil {
					t.Fatal(err)
				}
				all = append(all, p)
			}
			return all
		}
		yield("policy "+p.GetName(), back(others))
		hasNames := strings.Contains(string(encode(p)), "toFQDNs")
		for _, path := range removable(objectTree(t, p), nil) {
			if path[len(path)-1] == "rules" && !hasNames {
				continue // no recorded flow needs the DNS rule that Cilium's proxy reads
			}
			tree := objectTree(t, p)
			what := remove(tree, path)
			inDefault := strings.HasSuffix(what, `"kubernetes.io/metadata.name":"default"}}`) ||
				strings.HasSuffix(what, `namespace "default"`)
			if p.GetNamespace() == "" && inDefault {
				continue // kubectl applies a policy without a namespace to this one
			}
			if ns := p.GetNamespace(); ns != "" && strings.HasSuffix(what, fmt.Sprintf("pod.namespace %q", ns)) {
				continue // Cilium takes the policy's own namespace if a selector has none
			}
			yield(fmt.Sprintf("policy %s: %s", p.GetName(), what), back(append(slices.Clone(others), tree)))
		}
	}
}

func objectTree(t *testing.T, p Policy) any {
	t.Helper()
	var tree any
	if err := json.Unmarshal(encode(strip(p)), &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

// removable returns the paths of the elements that can be removed without allowing more than before.
func removable(tree any, at []any) [][]any {
	var paths [][]any
	path := func(more ...any) []any { return append(slices.Clone(at), more...) }
	switch v := tree.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			switch list, isList := v[key].([]any); {
			case key == npolicy.BinariesAnnotation && v[key] == "":
				continue // no flow needs a program that opened none
			case key == npolicy.NamesAnnotation, key == npolicy.BinariesAnnotation, key == npolicy.OtherAnnotation,
				key == npolicy.OtherIngressAnnotation:
				if key == npolicy.BinariesAnnotation {
					paths = append(paths, path(key))
				}
				for i := range strings.Split(v[key].(string), ",") {
					paths = append(paths, path(key, i))
				}
				continue
			case key == "namespaceSelector" && v["podSelector"] != nil, key == "k8s:io.kubernetes.pod.namespace",
				key == "rules" && v[key].(map[string]any)["http"] == nil: // without http rules every request is allowed
				paths = append(paths, path(key))
			case isList && key != "except" && (len(list) > 1 || key == "egress" || key == "ingress"):
				for i, element := range list {
					if rule, is := element.(map[string]any); !is || len(rule) > 0 { // "{}" is there to deny
						paths = append(paths, path(key, i))
					}
				}
			}
			paths = append(paths, removable(v[key], path(key))...)
		}
	case []any:
		for i, element := range v {
			paths = append(paths, removable(element, path(i))...)
		}
	}
	return paths
}

// remove removes the element at a path, and describes it.
func remove(tree any, path []any) string {
	parents := []any{tree}
	for _, step := range path[:len(path)-1] {
		switch v := parents[len(parents)-1].(type) {
		case map[string]any:
			parents = append(parents, v[step.(string)])
		case []any:
			parents = append(parents, v[step.(int)])
		}
	}
	last := len(parents) - 1
	var steps []string
	for _, step := range path {
		steps = append(steps, fmt.Sprint(step))
	}
	what := strings.Join(steps, ".")
	switch v := parents[last].(type) {
	case map[string]any:
		key := path[len(path)-1].(string)
		what += " " + string(encode(v[key]))
		delete(v, key)
		return what
	case []any:
		i := path[len(path)-1].(int)
		what += " " + string(encode(v[i]))
		list := slices.Delete(v, i, i+1)
		key := path[len(path)-2].(string)
		parents[last-1].(map[string]any)[key] = list
		if _, isCilium := parents[last-1].(map[string]any)["endpointSelector"]; isCilium && len(list) == 0 {
			parents[last-1].(map[string]any)[key] = []any{map[string]any{}} // the way to write a policy without rules
		}
	case string:
		names := strings.Split(v, ",")
		what += " " + names[path[len(path)-1].(int)]
		names = slices.Delete(names, path[len(path)-1].(int), path[len(path)-1].(int)+1)
		parents[last-1].(map[string]any)[path[len(path)-2].(string)] = strings.Join(names, ",")
	}
	return what
}

// drawOthers draws flows that only annotations allow.
func drawOthers(r *rand.Rand) []flow.Flow {
	shop, db := flow.Endpoint{Kind: flow.Workload, Name: "shop"}, flow.Endpoint{Kind: flow.Workload, Name: "db",
		Namespace: "data"}
	router := flow.Endpoint{Kind: flow.Address, Addr: netip.MustParseAddr("203.0.113.1")}
	vpn := flow.Endpoint{Kind: flow.External, Name: "vpn.test", Addr: netip.MustParseAddr("198.51.100.9")}
	all := []flow.Flow{
		{Source: shop, Destination: router, Protocol: flow.ICMP, ICMPType: 8},
		{Source: db, Destination: router, Protocol: flow.ICMPv6, ICMPType: 139},
		{Source: shop, Destination: vpn, Protocol: 47},
		{Source: shop, Destination: db, Protocol: flow.UDPLite, Port: 9},
		{Source: flow.Endpoint{Kind: flow.Anyone}, Destination: db, Protocol: flow.ICMP, ICMPType: 13},
		{Source: shop, Destination: flow.Endpoint{Kind: flow.External, Name: "telemetry.test"}, Lookup: true},
		{Source: db, Destination: flow.Endpoint{Kind: flow.Workload, Name: "gone", Namespace: "shop"}, Lookup: true},
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:r.IntN(len(all))]
}

func checkMutants(t *testing.T, c checks, policies []Policy, flows []flow.Flow) int {
	t.Helper()
	if why := c.failure(policies, flows); why != "" {
		t.Errorf("the golden file as it is: %s", why)
		return 0
	}
	n := 0
	c.mutants(t, policies, func(what string, mutant []Policy) {
		n++
		otherDNS := func(f flow.Flow) bool { return (f.Port == 53 || f.Port == 5353) && f.Destination.Kind != flow.Resolver }
		if strings.Contains(what, `"port":53,"protocol":"UDP"`) && slices.ContainsFunc(flows, otherDNS) {
			return // that rule stands for a resolver of other labels, too: see policy.Scope.Evaluate
		}
		if c.failure(mutant, flows) == "" {
			t.Errorf("without %s no test would fail", what)
		}
	})
	return n
}

func kubernetesChecks(scope npolicy.Scope) checks {
	return checks{npolicy.As[Policy](networkpolicy.Dialect{Scope: scope}),
		func() Policy { return new(networkingv1.NetworkPolicy) }}
}

func ciliumChecks(scope npolicy.Scope) checks {
	return checks{npolicy.As[Policy](ciliumpolicy.Dialect{Scope: scope}),
		func() Policy { return new(CiliumNetworkPolicy) }}
}

// TestMutation_GeneratedPolicies removes each element of generated policies, one at a time.
func TestMutation_GeneratedPolicies(t *testing.T) {
	mutants := 0
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		scope := npolicy.Scope{
			Subjects: []npolicy.Subject{{Workload: npolicy.Workload{Name: "shop"}},
				{Workload: npolicy.Workload{Name: "db", Namespace: "data"}, AllTraffic: true}},
			Binaries: seed%2 == 0,
		}
		flows := drawFlows(r)
		for i, f := range slices.Clone(flows) { // names have addresses of both families
			if f.Destination.Kind == flow.External {
				flows[i].Destination.Addr = netip.MustParseAddr("198.51.100.7")
				f.Destination.Addr = netip.MustParseAddr("2001:db8::7")
				flows = append(flows, f)
			}
			if f.Destination.Name == "db" {
				flows[i].Destination.Namespace = "data"
			}
			if f.Source.Name == "db" {
				flows[i].Source.Namespace = "data"
			}
		}
		callers := []flow.Flow{
			{Source: flow.Endpoint{Kind: flow.Anyone},
				Destination: flow.Endpoint{Kind: flow.Workload, Name: "db", Namespace: "data"}, Protocol: flow.TCP, Port: 5432},
			{Source: flow.Endpoint{Kind: flow.Workload, Name: "audit", Namespace: "ops"},
				Destination: flow.Endpoint{Kind: flow.Workload, Name: "db", Namespace: "data"}, Protocol: flow.TCP, Port: 5432},
		}
		flows = append(flows, callers[:r.IntN(3)]...)
		flows = append(flows, drawOthers(r)...)
		if scope.Binaries {
			drawBinaries(seed, flows)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			for _, c := range []checks{kubernetesChecks(scope), ciliumChecks(scope)} {
				mutants += checkMutants(t, c, c.Generate(flows), flows)
			}
		})
	}
	if mutants < 500 {
		t.Errorf("%d elements were removed: too few to mean anything", mutants)
	}
}

// TestMutation_GoldenFilesOfRepository does the same with the golden files that this repository's
// recordings wrote, and with the flows that these files describe.
func TestMutation_GoldenFilesOfRepository(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || !strings.Contains(filepath.ToSlash(path), "/testdata/netzero/") {
			return err
		}
		file, err := Read(path)
		if err != nil || file.Header.Test == "" {
			return err
		}
		found++
		t.Run(strings.TrimPrefix(filepath.ToSlash(path), "../"), func(t *testing.T) {
			scope, flows := flowsOf(t, file)
			c := kubernetesChecks(scope)
			if file.Dialect == Cilium {
				c = ciliumChecks(scope)
			}
			checkMutants(t, c, file.Policies, flows)
		})
		return nil
	})
	if err != nil || found < 20 {
		t.Errorf("%d golden files: %v", found, err)
	}
}
