package guest

import "testing"

func TestCapability_LogRoundTrip(t *testing.T) {
	for _, want := range []Capability{
		{Name: "TCP", State: Recorded},
		{Name: `it's "odd"`, State: Refused, Text: "two\nlines: é"},
	} {
		got, found, err := ParseCapability("    tcp_test.go:7: " + want.Line() + "\n")
		if err != nil || !found || got != want {
			t.Errorf("%+v came back as %+v, %v, %v", want, got, found, err)
		}
	}
}

func TestCapability_Damaged(t *testing.T) {
	whole := Capability{Name: "TCP", State: Recorded}.Line()
	for _, line := range []string{whole[:len(whole)-1], capabilityMark + "{}", capabilityMark + `{"Name":"TCP"}`,
		capabilityMark} {
		if _, found, err := ParseCapability(line); !found || err == nil {
			t.Errorf("%q: found %v, %v", line, found, err)
		}
	}
	if _, found, err := ParseCapability("    tcp_test.go:7: another capability\n"); found || err != nil {
		t.Errorf("a line without a capability: %v, %v", found, err)
	}
}
