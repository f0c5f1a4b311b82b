package launcher

import (
	"slices"
	"testing"
)

func TestIDsMayBeNone(t *testing.T) {
	for _, want := range []ids{{}, {7}, {0, 7, 100}} {
		var got ids
		if err := got.Set(want.String()); err != nil || got == nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v (%v)", want.String(), got, err)
		}
	}
	var got ids
	for _, text := range []string{"x", "1,", "-1"} {
		if err := got.Set(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
