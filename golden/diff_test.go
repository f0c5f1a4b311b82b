package golden

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDiff_Kubernetes(t *testing.T) {
	stripe := policy("checkout", 1, 5432, 9)
	stripe.Annotations = map[string]string{"netzero.dev/egress-names": "api.stripe.com:443/TCP"}
	inCilium := &CiliumNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	for _, c := range []struct {
		reason           string
		golden, recorded []Policy
		want             string
	}{
		{"nothing on either side", nil, nil, ""},
		{"the same", list(policy("a", 1), policy("b")), list(policy("b"), policy("a", 1)), ""},
		{"another port", list(policy("checkout", 1, 5432, 9)), list(policy("checkout", 1, 6432, 9)), lines(
			"(-golden +recorded)",
			"@@ NetworkPolicy checkout: spec.egress @@",
			"         matchLabels:",
			"           app: orders-db",
			"     ports:",
			"-    - port: 5432",
			"+    - port: 6432",
			"       protocol: TCP",
			"   - to:",
			"     - podSelector:",
		)},
		{"rules are added and removed whole", list(policy("checkout", 1, 9)), list(policy("checkout", 1, 5432, 9)), lines(
			"(-golden +recorded)",
			"@@ NetworkPolicy checkout: spec.egress @@",
			"     ports:",
			"     - port: 1",
			"       protocol: TCP",
			"+  - to:",
			"+    - podSelector:",
			"+        matchLabels:",
			"+          app: orders-db",
			"+    ports:",
			"+    - port: 5432",
			"+      protocol: TCP",
			"   - to:",
			"     - podSelector:",
			"         matchLabels:",
		)},
		{"two places of one policy, in a namespace", list(inNamespace("shop", policy("checkout", 1, 5432))),
			list(inNamespace("shop", stripe)), lines(
				"(-golden +recorded)",
				"@@ NetworkPolicy shop/checkout: metadata.annotations @@",
				" metadata:",
				"   name: checkout",
				"   namespace: shop",
				"+  annotations:",
				"+    netzero.dev/egress-names: api.stripe.com:443/TCP",
				" spec:",
				"   podSelector:",
				"     matchLabels:",
				"@@ NetworkPolicy shop/checkout: spec.egress @@",
				"     ports:",
				"     - port: 5432",
				"       protocol: TCP",
				"+  - to:",
				"+    - podSelector:",
				"+        matchLabels:",
				"+          app: orders-db",
				"+    ports:",
				"+    - port: 9",
				"+      protocol: TCP",
			)},
		{"a policy more on each side, and one that differs", list(policy("a"), policy("c")),
			list(policy("b"), policy("c", 1)), lines(
				"(-golden +recorded)",
				"@@ NetworkPolicy a: only in the golden file, kept @@",
				"@@ NetworkPolicy b @@",
				"+apiVersion: networking.k8s.io/v1",
				"+kind: NetworkPolicy",
				"+metadata:",
				"+  name: b",
				"+spec:",
				"+  podSelector:",
				"+    matchLabels:",
				"+      app: b",
				"+  policyTypes:",
				"+  - Egress",
				"@@ NetworkPolicy c: spec.egress @@",
				"       app: c",
				"   policyTypes:",
				"   - Egress",
				"+  egress:",
				"+  - to:",
				"+    - podSelector:",
				"+        matchLabels:",
				"+          app: orders-db",
				"+    ports:",
				"+    - port: 1",
				"+      protocol: TCP",
			)},
		{"no policy behind a pointer", list(policy("a")), list[*networkingv1.NetworkPolicy](nil),
			"(-golden +recorded)\na policy is nil\n"},
		{"another dialect", list(policy("a")), list(inCilium),
			"(-golden +recorded)\npolicies of two dialects: NetworkPolicy a, CiliumNetworkPolicy a\n"},
	} {
		if diff := cmp.Diff(c.want, Diff(c.golden, c.recorded)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

// go-cmp's slice diff is not deterministic: each process derives a seed from the clock. A diff that relied on it would
// change from one second to the next, so this test compares several processes.
func TestDiff_Deterministic(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	text := ""
	for range 20 {
		var sides [2]*networkingv1.NetworkPolicy
		for i := range sides {
			sides[i] = policy("checkout", random.Perm(12)[:2+random.IntN(8)]...)
			sides[i].Annotations = map[string]string{}
			for _, key := range random.Perm(9)[:4] {
				sides[i].Annotations[fmt.Sprint("key", key)] = "same"
			}
		}
		text += Diff(list(sides[0]), list(sides[1]))
	}
	if os.Getenv("NETZERO_TEST_DIFF") != "" {
		fmt.Print(text, "(end)")
		os.Exit(0)
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestDiff_Deterministic$")
		cmd.Env = append(os.Environ(), "NETZERO_TEST_DIFF=1")
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text+"(end)", string(got)); diff != "" {
			t.Fatalf("another process (-here +there):\n%s", diff)
		}
		time.Sleep(time.Second) // for another seed
	}
}

// A diff must contain the lines of both sides in order: without the "+" lines the old text, without the "-" lines the
// new one.
func TestDiff_BothSidesComplete(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	some := func() []string {
		words := []string{"spec:", "  egress:", "  - ports:", "    - port: 1", "  - to:", "    - a", "  podSelector: {}",
			"  x", "    "}
		lines := make([]string, random.IntN(30))
		for i := range lines {
			lines[i] = words[random.IntN(len(words))]
		}
		return lines
	}
	for range 500 {
		old, got := some(), some()
		var left, right []string
		for _, c := range changes(old, got) {
			if c.sign != '+' {
				left = append(left, c.line)
			}
			if c.sign != '-' {
				right = append(right, c.line)
			}
		}
		if !slices.Equal(old, left) || !slices.Equal(got, right) {
			t.Fatalf("old:\n%s\ngot:\n%s\nchanges: %q", strings.Join(old, "\n"), strings.Join(got, "\n"), changes(old, got))
		}
	}
}

func TestDiff_HugePolicies(t *testing.T) {
	huge := func(prefix string) *networkingv1.NetworkPolicy {
		p := policy("huge")
		for i := range 3000 {
			p.Spec.Egress = append(p.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{{
				PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprint(prefix, i)}},
			}}})
		}
		return p
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	text := Diff(list(huge("a")), list(huge("b")))
	runtime.ReadMemStats(&after)
	if n := strings.Count(text, "\n"); n < 2*3000*4-2 { // both ends of the texts may be equal
		t.Errorf("the diff has %d lines only", n)
	}
	// A table of all pairs of lines would have 24,000 times as many cells.
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<30 {
		t.Errorf("it allocated %d MiB", n>>20)
	}
}
