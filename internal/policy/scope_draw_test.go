package policy

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// testSeed returns what to draw from: the time, or what NETZERO_TEST_SEED says.
func testSeed(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("NETZERO_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("read NETZERO_TEST_SEED: %v", err)
		}
	}
	t.Logf("NETZERO_TEST_SEED=%d", seed)
	return seed
}

// scope draws a test process, or none, and containers: replicas, ones of one name in two namespaces, ones with labels of
// their own; and peers that are known from elsewhere.
func (r draw) scope() Scope {
	var s Scope
	if r.IntN(4) > 0 {
		s.Subjects = append(s.Subjects, Subject{Workload: r.named("checkout", pick(r, "", "shop"))})
	}
	for _, name := range []string{"orders-db", "cache", "worker"} {
		if r.IntN(4) == 0 {
			continue
		}
		container := Subject{r.named(name, pick(r, "", "shop", "data")), true}
		s.Subjects = append(s.Subjects, container)
		if r.IntN(4) == 0 {
			s.Subjects = append(s.Subjects, container) // a replica
		}
		if container.Namespace == "shop" && r.IntN(2) == 0 {
			s.Subjects = append(s.Subjects, Subject{r.named(name, "data"), true})
		}
	}
	for _, text := range []string{
		"10.9.0.1", "10.9.0.2", "192.168.255.255", "fd00::1", "198.51.100.1", "198.51.100.2", "2001:db8:1::7",
		"203.0.113.9", "203.0.113.10", "2001:db8::7", "2001:db8::8", "0.0.0.0",
	} {
		s.Addresses = append(s.Addresses, netip.MustParseAddr(text)) // all that are drawn: no rule for one is the API server's
	}
	s.Peers = append(s.Peers, r.named("mail", pick(r, "", "data")), r.named("search", "infra"))
	s.Fold = pick(r, nil, nil, []string{"shard-*.db.example"}, []string{"*.example"}, []string{"shard-*.db.example", "*.db.example", "hooks.slack.*"})
	return s
}

// named draws a workload whose labels are no other's.
func (r draw) named(name, namespace string) Workload {
	w := Workload{Name: name, Namespace: namespace}
	if r.IntN(2) == 0 {
		w.Labels = map[string]string{"app.kubernetes.io/name": name, "version": "v" + namespace}
	}
	if len(w.Labels) > 0 && r.IntN(2) == 0 {
		w.Selector = maps.Clone(w.Labels)
		delete(w.Selector, "version")
	}
	return w
}

func (r draw) flowsIn(s Scope) []flow.Flow {
	if len(s.Subjects) == 0 {
		return nil
	}
	flows := make([]flow.Flow, r.IntN(16))
	for i := range flows {
		flows[i] = r.flowIn(s)
	}
	return flows
}

// flowIn draws a flow that has a subject at one end, or at both.
func (r draw) flowIn(s Scope) flow.Flow {
	subject := func() flow.Endpoint {
		w := pick(r, s.Subjects...).Workload
		return workloadIn(pick(r, w.Namespace, w.Namespace, ""), w.Name)
	}
	f := flow.Flow{
		Source: subject(), Destination: subject(), Count: 1,
		Protocol: pick(r, flow.TCP, flow.TCP, flow.UDP, flow.SCTP, flow.ICMP), Port: pick[uint16](r, 1, 80, 81, 443, 5432, 65534),
	}
	switch r.IntN(4) {
	case 0:
		f.Destination = r.endpoint()
	case 1:
		f.Destination = pick(r, workload("mail"), workloadIn("infra", "search"), workload("search"), node("statsd"), flow.ClusterAPIServer)
	case 2:
		f.Source = pick(r, flow.Endpoint{Kind: flow.Anyone}, workload("mail"), workloadIn("data", "unknown"), at("203.0.113.9"), at("2001:db8::7"), external("lb.example", "198.51.100.1"))
	}
	if f.Source.Kind == flow.Anyone {
		f.Port = 8080 // what anyone may do, the rules for some of them are not needed for
	}
	if f.Destination.Kind == flow.Resolver {
		f.Port = pick[uint16](r, 53, 53, 853)
	}
	if !f.Protocol.HasPorts() {
		f.Port = 0
	}
	if f.Protocol == flow.ICMP {
		f.ICMPType = pick[uint8](r, 0, cilium.Echo, 13, 17)
	}
	switch r.IntN(12) {
	case 0:
		f.Protocol, f.Port, f.ICMPType = pick[flow.Protocol](r, 47, flow.UDPLite), 0, 0
	case 1:
		f.Source = subject()
		f = r.lookup(f.Source)
	}
	return f
}

// lookup draws a look-up that got no address, of a name that no other flow goes to.
func (r draw) lookup(source flow.Endpoint) flow.Flow {
	return flow.Flow{Source: source, Lookup: true, Count: 1, Destination: pick(r,
		flow.Endpoint{Kind: flow.External, Name: "telemetry.vendor.test"}, flow.Endpoint{Kind: flow.External, Name: "a b.vendor.test"},
		workload("nowhere"), workloadIn("data", "nowhere"), workloadIn("shop", "gone"))}
}

// editAll returns a scope's policies as somebody may have left them, and the names of the edits.
func (r draw) editAll(policies []*networkingv1.NetworkPolicy) ([]*networkingv1.NetworkPolicy, []string) {
	policies = clone(policies)
	var done []string
	for range r.IntN(6) {
		if len(policies) == 0 {
			break
		}
		i, d := r.IntN(len(policies)), pick(r, directions...)
		p := policies[i]
		rules := rulesOf(p, d)
		edits := map[string]func(){
			"reorder":         func() { slices.Reverse(rules) },
			"every port":      func() { rules[0].ports = nil },
			"every peer":      func() { rules[0].peers = []networkingv1.NetworkPolicyPeer{} },
			"a range":         func() { end := int32(65535); rules[0].ports[0].EndPort = &end },
			"no rule":         func() { rules = rules[1:] },
			"twice":           func() { rules = append(rules, rules[0]) },
			"join rules":      func() { rules[0].peers = slices.Concat(rules[0].peers, rules[len(rules)-1].peers) },
			"all pods":        func() { p.Spec.PodSelector = metav1.LabelSelector{} },
			"other pods":      func() { p.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}} },
			"no types":        func() { p.Spec.PolicyTypes = nil },
			"ingress only":    func() { p.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress} },
			"renamed":         func() { p.Name = "by-hand-" + strconv.Itoa(i) },
			"no policy":       func() { policies = slices.Delete(policies, i, i+1) },
			"everything":      func() { rules = append(rules, rule{}) },
			"other namespace": func() { p.Namespace = "prod" },
			"no namespace": func() {
				taken := slices.ContainsFunc(policies, func(q *networkingv1.NetworkPolicy) bool { return q.Name == p.Name && q.Namespace == "" })
				if !taken {
					p.Namespace = ""
				}
			},
		}
		edit := pick(r, slices.Sorted(maps.Keys(edits))...)
		if len(rules) == 0 && slices.Contains([]string{"every port", "every peer", "a range", "no rule", "twice", "join rules"}, edit) ||
			edit == "a range" && (len(rules[0].ports) == 0 || rules[0].ports[0].Port.IntVal == 0) {
			continue
		}
		edits[edit]()
		setRules(p, d, rules)
		done = append(done, p.Name+" "+d.String()+": "+edit)
	}
	return policies, done
}
