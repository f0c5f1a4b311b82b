package conformance

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cilium/cilium/pkg/policy/api"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
)

// TestCilium_Names draws names and patterns with few letters, so that some match.
func TestCilium_Names(t *testing.T) {
	t.Parallel()
	seed := policytest.Seed(t)
	matched := 0
	for i := range uint64(20_000) {
		r := draw{rand.New(rand.NewPCG(seed, i))}
		text := func(letters ...string) string {
			var labels []string
			for range 1 + r.IntN(4) {
				label := ""
				for range 1 + r.IntN(3) {
					label += pick(r, letters...)
				}
				labels = append(labels, label)
			}
			return strings.Join(labels, ".")
		}
		name := text("a", "b", "-", "_", "1")
		ours := pick(r, cilium.FQDN{MatchPattern: text("a", "b", "*", "**", "A", "_", "1") + pick(r, "", ".")},
			cilium.FQDN{MatchName: text("a", "b", "A")})
		if r.one(3) { // or a pattern made from the name
			parts := strings.Split(name, ".")
			parts[r.IntN(len(parts))] = pick(r, "*", "**", "a*", "*b", "*.*")
			ours = cilium.FQDN{MatchPattern: strings.Join(parts, ".")}
		}
		theirs := api.FQDNSelector{MatchName: ours.MatchName, MatchPattern: ours.MatchPattern}
		regex, err := theirs.ToRegex()
		if err != nil {
			t.Fatal(err)
		}
		want := regex.MatchString(name + ".")
		if want {
			matched++
		}
		if got := ours.Matches(name); got != want {
			t.Fatalf("case %d of seed %d: %s matches %s: %v, in Cilium %v (%s)", i, seed, ours, name, got, want, regex)
		}
	}
	if matched < 500 {
		t.Errorf("only %d match: too few to mean anything", matched)
	}
}
