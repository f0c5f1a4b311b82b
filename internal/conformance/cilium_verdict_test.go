package conformance

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/policy/testutils"
	"github.com/cilium/cilium/pkg/policy/types"
	"github.com/cilium/cilium/pkg/policy/utils"
	"github.com/cilium/cilium/pkg/u8proto"
	corev1 "k8s.io/api/core/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// simulator evaluates policies with Cilium's code: the agent turns a policy into entries, and Cilium's simulator, which
// Cilium compares with its policy maps, evaluates them. It differs from these maps in two ways, which this type
// corrects: a rule without fields matches nothing, and the protocol ANY means each protocol with ports.
type simulator struct {
	entries types.PolicyEntries
	names   map[string]uint16
}

// An agent gets these settings from its flags.
func init() {
	option.Config.EnableIPv4, option.Config.EnableIPv6 = true, true
	option.Config.EnableNonDefaultDenyPolicies = true
	api.InitEntities("default")
}

func newSimulator(t *testing.T, policies []*cilium.NetworkPolicy) simulator {
	t.Helper()
	var s simulator
	for _, p := range policies {
		text := []byte(toYAML(t, p))
		rule, err := parse(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		for _, e := range utils.RulesToPolicyEntries(api.Rules{rule}) {
			if len(e.L3) == 0 && len(e.L4) == 0 {
				e.L3 = nil
			}
			e.L4 = withPorts(e.L4)
			s.entries = append(s.entries, e)
		}
		for name, port := range namesOf(string(text)) {
			if s.names == nil {
				s.names = make(map[string]uint16)
			}
			s.names[name] = port
		}
	}
	return s
}

// withPorts returns rules in which ANY is replaced by each protocol that has ports.
func withPorts(rules api.PortRules) api.PortRules {
	var all api.PortRules
	for _, rule := range rules {
		var list []api.PortProtocol
		for _, p := range rule.Ports {
			each := []api.L4Proto{p.Protocol}
			if p.Protocol.IsAny() {
				each = []api.L4Proto{api.ProtoTCP, api.ProtoUDP, api.ProtoSCTP}
			}
			for _, p.Protocol = range each {
				list = append(list, p)
			}
		}
		rule.Ports = list
		all = append(all, rule)
	}
	return all
}

// identityOf returns Cilium's identity for an end.
func (in cluster) identityOf(id identity.NumericIdentity, e end) *identity.Identity {
	const source = labels.LabelSourceK8s
	switch {
	case isAPIServer(e):
		return identity.NewIdentity(id, labels.FromSlice([]labels.Label{
			labels.NewLabel(labels.IDNameKubeAPIServer, "", labels.LabelSourceReserved),
			labels.NewLabel(labels.IDNameRemoteNode, "", labels.LabelSourceReserved),
		}))
	case isNode(e):
		return identity.NewIdentity(id,
			labels.FromSlice([]labels.Label{labels.NewLabel(labels.IDNameHost, "", labels.LabelSourceReserved)}))
	case e.Pod == nil:
		all := labels.GetCIDRLabels(netip.PrefixFrom(e.Address, e.Address.BitLen()))
		if e.Name != "" { // the agent has read its lookup
			name := (&api.FQDNSelector{MatchName: e.Name}).IdentityLabel()
			all[name.Key] = name
		}
		return identity.NewIdentity(id, all)
	}
	namespace := namespaceOf(e.Pod.Namespace)
	all := []labels.Label{
		labels.NewLabel("io.kubernetes.pod.namespace", namespace, source),
		labels.NewLabel("io.cilium.k8s.policy.cluster", "default", source),
		labels.NewLabel("io.cilium.k8s.namespace.labels."+namespaceLabel, namespace, source),
	}
	for key, value := range in.Namespaces[namespace] {
		all = append(all, labels.NewLabel("io.cilium.k8s.namespace.labels."+key, value, source))
	}
	for key, value := range e.Pod.Labels {
		all = append(all, labels.NewLabel(key, value, source))
	}
	return identity.NewIdentity(id, labels.FromSlice(all))
}

// apiServer is not a pod of the cluster.
var apiServer = end{Pod: &pod{Name: "kubernetes", Namespace: "default"}}

func isAPIServer(e end) bool { return e.Pod != nil && e.Pod.Name == apiServer.Pod.Name }

// node is the machine that runs a pod. It is not a pod either.
var node = end{Pod: &pod{Name: "node-agent", Namespace: "default"}}

func isNode(e end) bool { return e.Pod != nil && e.Pod.Name == node.Pod.Name }

// forRequest returns the simulator without the lists of ports whose HTTP rules do not match a request, or, if it is
// opaque, without those that have HTTP rules. Cilium's proxy compares requests in this way: of the rules for a peer and
// port, one without HTTP rules counts as one for every request (see PerSelectorPolicy.appendL7WildcardRule).
func (s simulator) forRequest(request *flow.Request, isOpaque bool) simulator {
	if request == nil && !isOpaque {
		return s
	}
	without := simulator{names: s.names}
	for _, entry := range s.entries {
		e := *entry
		e.L4 = slices.DeleteFunc(slices.Clone(e.L4), func(p api.PortRule) bool {
			matches := func(h api.PortRuleHTTP) bool { return !isOpaque && matchesAsEnvoy(h, *request) }
			return !p.Rules.IsEmpty() && !slices.ContainsFunc(p.Rules.HTTP, matches)
		})
		if len(e.L4) == 0 && len(entry.L4) > 0 {
			e.L3 = nil // matches nothing, and still denies by default
		}
		without.entries = append(without.entries, &e)
	}
	return without
}

func (s simulator) allows(in cluster, t traffic) bool {
	asked := types.Flow{
		From: in.identityOf(10_001, t.From), To: in.identityOf(10_002, t.To), Dport: t.Port,
		Proto:         u8proto.U8proto(protocols[t.Protocol] + icmp[t.Protocol]),
		NamedPortsTCP: t.To.Pod.named(s.names, corev1.ProtocolTCP),
		NamedPortsUDP: t.To.Pod.named(s.names, corev1.ProtocolUDP),
	}
	verdict, _, _ := testutils.IteratePolicy(s.entries, asked)
	return verdict.Allowed()
}

type ciliumQuestion struct {
	Policies []*cilium.NetworkPolicy `json:"policies"`
	Cluster  cluster                 `json:"cluster"`
	Traffic  traffic                 `json:"traffic"`
	Request  *flow.Request           `json:"request,omitempty"`
	Opaque   bool                    `json:"opaque,omitempty"`
}

func (q ciliumQuestion) isValid() bool {
	for _, p := range q.Policies {
		if p.Namespace == "" || p.Kind == "" || p.APIVersion == "" || cilium.Validate(withoutHostBits(p)) != nil {
			return false
		}
		if _, err := parse([]byte(toText(p))); err != nil {
			return false
		}
	}
	return question{Cluster: q.Cluster, Traffic: q.Traffic}.isValidIn(true)
}

// withoutHostBits returns a policy with one valid range in place of every toCIDR and fromCIDR, because Validate rejects
// some ranges that Cilium accepts.
func withoutHostBits(p *cilium.NetworkPolicy) *cilium.NetworkPolicy {
	p = p.DeepCopy()
	for _, rules := range [][]cilium.EgressRule{p.Spec.Egress, p.Spec.EgressDeny} {
		for i := range rules {
			for j := range rules[i].ToCIDR {
				rules[i].ToCIDR[j] = "10.0.0.0/8"
			}
		}
	}
	for _, rules := range [][]cilium.IngressRule{p.Spec.Ingress, p.Spec.IngressDeny} {
		for i := range rules {
			for j := range rules[i].FromCIDR {
				rules[i].FromCIDR[j] = "10.0.0.0/8"
			}
		}
	}
	return p
}

func (q ciliumQuestion) ours() (bool, policy.Verdict) {
	scope, f := q.Cluster.scope(), q.Traffic.flow()
	scope.Requests = true
	if q.Request != nil {
		f.Requests = []flow.Request{*q.Request}
	}
	if q.Opaque {
		f.Opaque = "TLS"
	}
	v := ciliumpolicy.Dialect{Scope: scope}.Evaluate(q.Policies, f)
	return v.Outcome == policy.Allowed || v.Outcome == policy.Unprotected, v
}

func (q ciliumQuestion) theirs(t *testing.T) bool {
	return newSimulator(t, q.Policies).forRequest(q.Request, q.Opaque).allows(q.Cluster, q.Traffic)
}

// TestCilium_RandomPolicies compares both evaluators on four thousand clusters.
func TestCilium_RandomPolicies(t *testing.T) {
	t.Parallel()
	const cases, flows = 4_000, 8
	seed := policytest.Seed(t)
	outcomes := make(map[policy.Outcome]int)
	for i := range uint64(cases) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		q := ciliumQuestion{Cluster: r.cluster(), Policies: r.ciliums()}
		theirs := newSimulator(t, q.Policies)
		for range flows {
			q.Traffic = r.traffic(q.Cluster)
			if q.Traffic.To.Pod == nil && r.one(3) {
				q.Traffic.To = pick(r, apiServer, node)
			}
			if r.one(6) {
				q.Traffic.Protocol, q.Traffic.Port = "ICMP", pick[uint16](r, 8, 13)
			}
			q.Request, q.Opaque = nil, false
			if q.Traffic.Protocol == corev1.ProtocolTCP {
				switch r.IntN(8) {
				case 0:
					q.Opaque = true
				case 1, 2, 3, 4, 5:
					q.Request = r.request()
				}
			}
			ours, v := q.ours()
			outcomes[v.Outcome]++
			want := theirs.forRequest(q.Request, q.Opaque).allows(q.Cluster, q.Traffic)
			if ours == want {
				continue
			}
			q = shrunk(t, q, func(q ciliumQuestion) bool {
				if !q.isValid() {
					return false
				}
				ours, _ := q.ours()
				return ours != q.theirs(t)
			})
			ours, v = q.ours()
			t.Fatalf("case %d of seed %d: allowed here: %v (%s: %s), by Cilium: %v\n%s", i, seed, ours, v.Outcome, v.Reason,
				q.theirs(t), toYAML(t, q))
		}
	}
	t.Logf("%d flows: %v", cases*flows, outcomes)
	for _, o := range []policy.Outcome{policy.Allowed, policy.Denied, policy.Unprotected} {
		if outcomes[o] < cases*flows/40 {
			t.Errorf("only %d flows are %s: too few to mean anything", outcomes[o], o)
		}
	}
}
