package ciliumpolicy

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/policy"
)

func TestLookups_CiliumListsNoPorts(t *testing.T) {
	p := Dialect{alone(checkout)}.Generate(nil)[0]
	for entry, want := range map[string]string{
		"api.example:*":       "",
		"api.example:443/TCP": "ports stand in toFQDNs",
		"api.example:*/TCP":   "want a port", "a b:*": "want a host name", "*:*": "remove the annotation",
	} {
		p.Annotations = map[string]string{policy.NamesAnnotation: entry}
		err := Validate(p)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
}
