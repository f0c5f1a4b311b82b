package policydiff

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// hostile returns a file whose names and recorded flows try to be more than text.
func hostile() File {
	v := policy.Verdict{Policy: "p", Reason: "\x1b[31m@team <img src=x> `code` \u202e"}
	c := Change{Kind: reach, More: true, Peer: "a`b", Ports: "443/TCP", Flows: []Flow{
		{Source: "a\nb", Target: "[x](http://evil.test)", Tests: []string{"TestA"}, Before: v, After: v},
	}}
	c.say("%s may now reach %s on 443/TCP", "checkout*", "a`b")
	return File{Path: "a\x07.yaml", Subjects: []Subject{{Name: "checkout*", Namespace: "shop", Changes: []Change{c}}}}
}

func TestWriteText_EscapesControlCharacters(t *testing.T) {
	want := []string{
		`a\a.yaml:`, "", "checkout* in namespace shop",
		"  + checkout* may now reach a`b on 443/TCP (egress)",
		`      a\nb -> [x](http://evil.test), recorded by TestA`,
		"        before: denied, policy p: \\x1b[31m@team <img src=x> `code` \\u202e",
		"        now: denied, policy p: \\x1b[31m@team <img src=x> `code` \\u202e",
	}
	if diff := cmp.Diff(want, lines(t, hostile())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteMarkdown_NamesStayText(t *testing.T) {
	var b strings.Builder
	if err := WriteMarkdown(&b, []File{hostile()}); err != nil {
		t.Fatal(err)
	}
	want := "## `a\\a.yaml`\n\n### `checkout*` in namespace `shop`\n\n**Allows more**\n\n" +
		"- `checkout*` may now reach `` a`b `` on 443/TCP (egress)\n" +
		"  - `a\\nb -> [x](http://evil.test)`, recorded by `TestA`\n" +
		"    - before: denied, policy `p`: `` \\x1b[31m@team <img src=x> `code` \\u202e ``\n" +
		"    - now: denied, policy `p`: `` \\x1b[31m@team <img src=x> `code` \\u202e ``\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteMarkdown_NothingDiffers(t *testing.T) {
	var b strings.Builder
	if err := WriteMarkdown(&b, []File{{Path: "a.yaml"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("The policies allow the same as before.\n", b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteMarkdown_FitsIntoAComment(t *testing.T) {
	f := hostile()
	for range 2000 {
		f.Subjects = append(f.Subjects, f.Subjects[0])
	}
	var b strings.Builder
	if err := WriteMarkdown(&b, []File{f}); err != nil {
		t.Fatal(err)
	}
	const end = " more lines do not fit into a comment: `netzero diff` prints them.\n"
	if n := b.Len(); n > 65536 || !strings.HasSuffix(b.String(), end) {
		t.Errorf("%d bytes that end with %q", n, b.String()[n-100:])
	}
}

func TestWriteJSON(t *testing.T) {
	var b strings.Builder
	if err := WriteJSON(&b, []File{hostile(), {Path: "same.yaml"}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x07\u202e") {
		t.Errorf("a control character is not escaped:\n%s", b.String())
	}
	var got struct{ Files []jsonFile }
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	verdict := jsonVerdict{Outcome: "denied", Policy: "p", Reason: "\x1b[31m@team <img src=x> `code` \u202e"}
	want := []jsonFile{{Path: "a\x07.yaml", Subjects: []jsonSubject{{
		Name: "checkout*", Namespace: "shop",
		Changes: []jsonChange{{
			Allows: "more", Direction: "egress", Kind: reach, Text: "checkout* may now reach a`b on 443/TCP (egress)",
			Peer: "a`b", Ports: "443/TCP",
			Flows: []jsonFlow{{"a\nb", "[x](http://evil.test)", []string{"TestA"}, verdict, verdict}},
		}},
	}}}}
	if diff := cmp.Diff(want, got.Files); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteJSON_NothingDiffers(t *testing.T) {
	var b strings.Builder
	if err := WriteJSON(&b, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\n  \"files\": []\n}\n", b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDescribeAddresses(t *testing.T) {
	for _, c := range []struct {
		blocks []block
		want   string
	}{
		{[]block{blockOf("203.0.113.9/32", nil)}, "203.0.113.9"},
		{[]block{blockOf("10.0.0.0/9", nil), blockOf("10.128.0.0/9", nil)}, "10.0.0.0/8"},
		{[]block{blockOf("10.0.0.0/8", []string{"10.1.0.0/16"})}, "10.0.0.0/8 except 10.1.0.0/16"},
		{[]block{blockOf("10.0.0.1/32", nil), blockOf("10.0.0.2/32", nil)}, "10.0.0.1, 10.0.0.2"},
		{[]block{blockOf("0.0.0.0/0", nil)}, "every address of 0.0.0.0/0"},
		{[]block{blockOf("0.0.0.0/0", nil), blockOf("::/0", nil)}, "every address"},
		{[]block{blockOf("0.0.0.0/0", []string{"10.0.0.0/8"})}, "the internet (IPv4)"},
		{[]block{blockOf("0.0.0.0/0", []string{"10.0.0.0/8"}), blockOf("::/0", []string{"fc00::/7"})}, "the internet"},
		{[]block{blockOf("0.0.0.0/0", []string{"10.0.0.0/8", "8.8.8.8/32"})}, "0.0.0.0/0 except 8.8.8.8, 10.0.0.0/8"},
		{[]block{blockOf("255.255.255.255/32", nil), blockOf("ffff::/16", nil)}, "255.255.255.255, ffff::/16"},
	} {
		if got := describeAddresses(joined(segmentsOf(c.blocks))); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestParse_PassesOverOtherObjects(t *testing.T) {
	others := "kind: Deployment\napiVersion: apps/v1\n---\n# nothing\n---\n"
	policies := parse(t, others+egress(toDB)+"---\n"+ofCilium("egress: [{}]"))
	if len(policies) != 2 {
		t.Errorf("%d policies", len(policies))
	}
}

func TestParse_NamesTheLineOfAFault(t *testing.T) {
	text := strings.Replace(egress(toDB), "policyTypes", "policyType", 1)
	_, err := Parse("x.yaml", []byte("kind: Deployment\n---\n"+text))
	if err == nil || !strings.Contains(err.Error(), "x.yaml: line ") {
		t.Errorf("error %v", err)
	}
}

func TestParse_RefusesOtherNetworkPolicies(t *testing.T) {
	for _, object := range []string{
		"apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\n",
		"apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\n",
		"apiVersion: v1\nkind: List\nitems: [{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy}]\n",
	} {
		if _, err := Parse("x.yaml", []byte(object)); err == nil || !strings.Contains(err.Error(), "are read") {
			t.Errorf("error %v for\n%s", err, object)
		}
	}
}

func TestParse_RefusesHeaders(t *testing.T) {
	_, err := Parse("x.yaml", []byte(ofCilium(
		"egress: [{toPorts: [{ports: [{port: '80', protocol: TCP}], rules: {http: [{headers: [a]}]}}]}]")))
	if err == nil || !strings.Contains(err.Error(), "headers are not recorded") {
		t.Errorf("error %v", err)
	}
}

// A kind of L7 rule that package cilium learns to read has to be compared too: see atomsOf.
func TestL7Rules_AllAreCompared(t *testing.T) {
	fields := reflect.VisibleFields(reflect.TypeFor[cilium.L7Rules]())
	if len(fields) != 2 || fields[0].Name != "DNS" || fields[1].Name != "HTTP" {
		t.Errorf("L7 rules have the fields %v; only DNS and HTTP are compared", fields)
	}
}
