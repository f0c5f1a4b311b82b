package policy

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestStrings_OfValues(t *testing.T) {
	for outcome, want := range map[Outcome]string{
		Denied: "denied", Allowed: "allowed", Unprotected: "unprotected", Inexpressible: "inexpressible", 9: "unknown",
	} {
		if got := outcome.String(); got != want {
			t.Errorf("outcome %d reads %q, want %q", outcome, got, want)
		}
	}
	if (Verdict{}).Outcome != Denied {
		t.Error("the zero verdict has to deny")
	}
}

// The shapes that the package compares itself are those of Kubernetes, and of a regular expression.
func TestShapes(t *testing.T) {
	hostShape := regexp.MustCompile(`^[a-z0-9_*-]{1,63}(\.[a-z0-9_*-]{1,63})*$`)
	texts := []string{
		"", "a", "A", "-", "_", ".", "*", "a-", "-a", "a.", ".a", "a..b", "a_b", "a b", "a\n", "\n", "ä",
		"a/b", "/a", "a/", "a/b/c", "example.com/a", "Example.com/a", "example.com/-a", "example.com/", "*.example", "a:b",
	}
	for _, n := range []int{62, 63, 64, 253, 254} {
		texts = append(texts, strings.Repeat("a", n), "a."+strings.Repeat("a", n), strings.Repeat("a", n)+"/b",
			"b/"+strings.Repeat("a", n), strings.Repeat("a", n-1)+"-", strings.Repeat("a.", n)+"a")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var text strings.Builder
		for range r.IntN(7) {
			text.WriteByte("aZ0-_./* \n"[r.IntN(10)])
		}
		texts = append(texts, text.String())
	}
	for _, text := range texts {
		if got, want := hasHostShape(text), hostShape.MatchString(text); got != want {
			t.Errorf("%q has the shape of a host: %v, want %v", text, got, want)
		}
		if got, want := isLabelKey(text), len(validation.IsQualifiedName(text)) == 0; got != want {
			t.Errorf("%q is a key of labels: %v, want %v", text, got, want)
		}
		if got, want := isLabelValue(text), len(validation.IsValidLabelValue(text)) == 0; got != want {
			t.Errorf("%q is a value of labels: %v, want %v", text, got, want)
		}
	}
}
