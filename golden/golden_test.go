package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// hashOf returns the suffix that Path appends to a changed part of a test's name.
func hashOf(test string) string {
	sum := sha256.Sum256([]byte(test))
	return "-" + hex.EncodeToString(sum[:])[:8]
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustParse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v, in:\n%s", err, text)
	}
	return f
}

// policy returns a policy of the pods app=name that allows TCP to the given ports of pods app=orders-db.
func policy(name string, ports ...int) *networkingv1.NetworkPolicy {
	p := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		},
	}
	for _, port := range ports {
		tcp, number := corev1.ProtocolTCP, intstr.FromInt(port)
		p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
			Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &number}},
			To: []networkingv1.NetworkPolicyPeer{{
				PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "orders-db"}},
			}},
		})
	}
	return p
}

func inNamespace(namespace string, p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	p.Namespace = namespace
	return p
}

func list[P Policy](policies ...P) []Policy {
	var all []Policy
	for _, p := range policies {
		all = append(all, p)
	}
	return all
}

// lines joins lines to a text.
func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }
