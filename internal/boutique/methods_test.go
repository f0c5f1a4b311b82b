package boutique

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// ciliumPolicy is the part of a CiliumNetworkPolicy that says which methods are called.
type ciliumPolicy struct {
	Spec struct {
		EndpointSelector metav1.LabelSelector
		Egress           []struct {
			ToEndpoints []metav1.LabelSelector
			ToPorts     []ciliumPorts
		}
		Ingress []struct {
			FromEndpoints []metav1.LabelSelector
			ToPorts       []ciliumPorts
		}
	}
}

type ciliumPorts struct {
	Rules struct {
		HTTP []struct{ Method, Path string }
	}
}

// As TestEdges_AreTheDependencies, without any package of NetZero.
func TestCalls_AreTheMethods(t *testing.T) {
	var want []string
	for _, m := range methods {
		want = append(want, m.from+" -> "+m.to+" POST "+strings.ReplaceAll(m.path, ".", `\.`))
	}
	slices.Sort(want)
	text, err := os.ReadFile("testdata/netzero/TestBoutique_Calls.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var sent, received []string
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var p ciliumPolicy
		if err := yaml.Unmarshal([]byte(document), &p); err != nil {
			t.Fatal(err)
		}
		self := ciliumApp(p.Spec.EndpointSelector)
		for _, rule := range p.Spec.Egress {
			for _, to := range rule.ToEndpoints {
				sent = append(sent, calls(self, ciliumApp(to), rule.ToPorts)...)
			}
		}
		for _, rule := range p.Spec.Ingress {
			for _, from := range rule.FromEndpoints {
				received = append(received, calls(ciliumApp(from), self, rule.ToPorts)...)
			}
		}
	}
	for direction, got := range map[string][]string{"egress": sent, "ingress": received} {
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-methods +golden)\n%s", direction, diff)
		}
	}
}

// calls returns the gRPC calls that ports allow from one service to another.
func calls(from, to string, ports []ciliumPorts) []string {
	var all []string
	for _, p := range ports {
		for _, r := range p.Rules.HTTP {
			if strings.HasPrefix(r.Path, "/hipstershop") {
				all = append(all, from+" -> "+to+" "+r.Method+" "+r.Path)
			}
		}
	}
	return all
}

func ciliumApp(selector metav1.LabelSelector) string { return selector.MatchLabels["k8s:app"] }
