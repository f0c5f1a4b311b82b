package gotest

import "testing"

func TestPartial_ElementsOfPattern(t *testing.T) {
	for pattern, want := range map[string]int{
		"": 1, "^TestA$": 1, "^TestA$/^b$": 2, "A/b/c": 3, "A|B/c": 2, "A/b|C": 2, "A[/]b": 1, "(A/x|B)": 1, `A\/b`: 1, "A[": 1,
	} {
		if got := elements(pattern); got != want {
			t.Errorf("%q has %d elements, want %d", pattern, got, want)
		}
	}
}
