package golden

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMerge_Kubernetes(t *testing.T) {
	a := mustParse(t, "# of TestA\n"+writtenYAML)
	b := mustParse(t, strings.Replace(writtenYAML, "port: 5432", "port: 6432", 1)+"---\n"+strings.ReplaceAll(writtenYAML,
		"checkout", "audit"))
	want := strings.ReplaceAll(writtenYAML, "checkout", "audit") + "---\n" +
		strings.Replace(writtenYAML, "      protocol: TCP\n", "      protocol: TCP\n    - port: 6432\n      protocol: TCP\n",
			1)
	merged, err := Merge(b.Policies, a.Policies)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Format(Header{}, merged)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Header{}.String()+want, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := Merge(a.Policies,
		mustParse(t, strings.Replace(writtenYAML, "app: checkout", "app: web", 1)).Policies); err == nil ||
		!strings.HasPrefix(err.Error(), "merge policies: policy checkout selects") {
		t.Errorf("other pods: %v", err)
	}
	if _, err := Merge(a.Policies, mustParse(t, ciliumYAML).Policies); err == nil ||
		err.Error() != "merge policies: policies of two dialects: NetworkPolicy checkout, CiliumNetworkPolicy checkout" {
		t.Errorf("two dialects: %v", err)
	}
	if merged, err := Merge(); err != nil || len(merged) > 0 {
		t.Errorf("nothing: %v, %v", merged, err)
	}
}

func TestMerge_Cilium(t *testing.T) {
	a := mustParse(t, ciliumYAML)
	b := mustParse(t,
		strings.Replace(strings.Replace(ciliumYAML, "api.stripe.com", "hooks.stripe.com", 1), "'*'", "'*.stripe.com'", 1))
	want := writtenCilium + "  - toFQDNs:\n    - matchName: hooks.stripe.com\n    toPorts:\n    - ports:\n" +
		"      - port: \"443\"\n        protocol: TCP\n"
	merged, err := Merge(a.Policies, b.Policies, a.Policies)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Format(Header{}, merged)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Header{}.String()+want, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
