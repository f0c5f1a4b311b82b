package policy

import (
	"testing"
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
