package conformance

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/mattfenwick/cyclonus/pkg/generator"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy"
)

// ownCluster is the cluster of cyclonus' own cases: pods a, b and c in the namespaces x, y and z. They serve the ports
// 80 and 81 over each protocol, as named ports.
func ownCluster() cluster {
	in := cluster{Namespaces: make(map[string]map[string]string)}
	for _, namespace := range []string{"x", "y", "z"} {
		in.Namespaces[namespace] = map[string]string{"ns": namespace}
		for _, name := range []string{"a", "b", "c"} {
			in.Pods = append(in.Pods, pod{name, namespace, map[string]string{"pod": name}, []namedPort{
				{"serve-80-tcp", 80, corev1.ProtocolTCP}, {"serve-81-tcp", 81, corev1.ProtocolTCP},
				{"serve-80-udp", 80, corev1.ProtocolUDP}, {"serve-81-udp", 81, corev1.ProtocolUDP},
				{"serve-80-sctp", 80, corev1.ProtocolSCTP}, {"serve-81-sctp", 81, corev1.ProtocolSCTP},
			}})
		}
	}
	return in
}

// apply runs a step of a case.
func (q *question) apply(t *testing.T, a *generator.Action) {
	t.Helper()
	isPolicy := func(namespace, name string) func(*networkingv1.NetworkPolicy) bool {
		return func(p *networkingv1.NetworkPolicy) bool { return p.Namespace == namespace && p.Name == name }
	}
	isPod := func(namespace, name string) func(pod) bool {
		return func(p pod) bool { return p.Namespace == namespace && p.Name == name }
	}
	in := &q.Cluster
	switch {
	case a.CreatePolicy != nil:
		q.Policies = append(q.Policies, a.CreatePolicy.Policy)
	case a.UpdatePolicy != nil:
		p := a.UpdatePolicy.Policy
		q.Policies[slices.IndexFunc(q.Policies, isPolicy(p.Namespace, p.Name))] = p
	case a.DeletePolicy != nil:
		q.Policies = slices.DeleteFunc(q.Policies, isPolicy(a.DeletePolicy.Namespace, a.DeletePolicy.Name))
	case a.CreateNamespace != nil:
		in.Namespaces[a.CreateNamespace.Namespace] = a.CreateNamespace.Labels
	case a.SetNamespaceLabels != nil:
		in.Namespaces[a.SetNamespaceLabels.Namespace] = a.SetNamespaceLabels.Labels
	case a.DeleteNamespace != nil:
		delete(in.Namespaces, a.DeleteNamespace.Namespace)
		in.Pods = slices.DeleteFunc(in.Pods, func(p pod) bool { return p.Namespace == a.DeleteNamespace.Namespace })
	case a.CreatePod != nil:
		in.Pods = append(in.Pods, pod{a.CreatePod.Pod, a.CreatePod.Namespace, a.CreatePod.Labels, in.Pods[0].Ports})
	case a.SetPodLabels != nil:
		i := slices.IndexFunc(in.Pods, isPod(a.SetPodLabels.Namespace, a.SetPodLabels.Pod))
		in.Pods[i].Labels = a.SetPodLabels.Labels
	case a.DeletePod != nil:
		in.Pods = slices.DeleteFunc(in.Pods, isPod(a.DeletePod.Namespace, a.DeletePod.Pod))
	case a.ReadNetworkPolicies != nil:
	default:
		t.Fatalf("an action of no known kind: %+v", a)
	}
}

// probes returns all flows between the pods, and between pods and addresses inside and outside of the ranges of the
// cases.
func (in cluster) probes() []traffic {
	var ends []end
	for i := range in.Pods {
		ends = append(ends, end{Pod: &in.Pods[i]})
	}
	for _, addr := range []string{"192.168.242.213", "192.168.242.7", "192.168.7.7", "2001:db8::7"} {
		ends = append(ends, end{Address: netip.MustParseAddr(addr)})
	}
	var all []traffic
	for _, from := range ends {
		for _, to := range ends {
			if from.Pod == nil && to.Pod == nil {
				continue
			}
			for _, port := range []uint16{53, 79, 80, 81, 82} {
				all = append(all, traffic{from, to, port, corev1.ProtocolTCP})
			}
			for _, port := range []uint16{53, 80, 81} {
				all = append(all, traffic{from, to, port, corev1.ProtocolUDP})
			}
			for _, port := range []uint16{80, 81} {
				all = append(all, traffic{from, to, port, corev1.ProtocolSCTP})
			}
		}
	}
	return all
}

// TestCyclonus_OwnCases runs all of the cases, and compares every pair of pods after each step.
func TestCyclonus_OwnCases(t *testing.T) {
	t.Parallel()
	steps, outcomes := 0, make(map[policy.Outcome]int)
	asked := make(map[string]bool)
	for _, allowDNS := range []bool{false, true} {
		all := generator.NewTestCaseGenerator(allowDNS, "192.168.242.213", []string{"x", "y", "z"}, nil,
			nil).GenerateAllTestCases()
		for _, c := range all {
			q := question{Cluster: ownCluster()}
			for _, step := range c.Steps {
				for _, action := range step.Actions {
					q.apply(t, action)
				}
				if state := toText(q); asked[state] {
					continue
				} else {
					asked[state] = true
				}
				steps++
				scope, theirs := q.Cluster.scope(), newCyclonus(q.Policies)
				for _, probe := range q.Cluster.probes() {
					ours, v := allows(scope, q.Policies, probe.flow())
					outcomes[v.Outcome]++
					if ours != theirs.allows(q.Cluster, probe) {
						q.Traffic = probe
						t.Errorf("%s: %v: allowed here: %v (%s: %s)\n%s", c.Description, c.Tags, ours, v.Outcome, v.Reason, toYAML(t, q))
						return
					}
				}
			}
		}
	}
	t.Logf("%d states, flows: %v", steps, outcomes)
	if steps < 100 || outcomes[policy.Allowed] < 1000 || outcomes[policy.Denied] < 1000 {
		t.Error("too few to mean anything")
	}
}
