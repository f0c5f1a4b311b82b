package conformance

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// shrunk returns the smallest value that still fails. It removes elements of lists and fields from the given value, one
// at a time, until nothing more can be removed.
func shrunk[T any](t *testing.T, failing T, fails func(T) bool) T {
	t.Helper()
	text, err := json.Marshal(failing)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	read := func() (T, bool) {
		text, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var value T
		return value, json.Unmarshal(text, &value) == nil && fails(value)
	}
	for again := true; again; {
		again = false
		without(&tree, func() bool {
			value, still := read()
			if still {
				failing, again = value, true
			}
			return still
		})
	}
	return failing
}

// without removes each element below a place in turn, and restores it unless keep returns true.
func without(at *any, keep func() bool) {
	was := *at
	switch v := was.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below := v[key]
			delete(v, key)
			if keep() {
				continue
			}
			v[key] = below
			without(&below, func() bool { v[key] = below; return keep() })
			v[key] = below
		}
	case []any:
		for i := 0; i < len(v); {
			rest := append(append([]any{}, v[:i]...), v[i+1:]...)
			if *at = rest; keep() {
				v = rest
				continue
			}
			*at = v
			below := v[i]
			without(&below, func() bool { v[i] = below; return keep() })
			v[i] = below
			i++
		}
	}
}

func toYAML(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// toText returns a value for comparison.
func toText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // plain values have an encoding
	}
	return string(text)
}

func TestShrink_FailingValue(t *testing.T) {
	type value struct {
		List []int          `json:"list,omitempty"`
		Map  map[string]any `json:"map,omitempty"`
	}
	fails := func(v value) bool {
		deep, _ := v.Map["b"].(map[string]any)
		return len(v.List) > 1 && deep["d"] != nil
	}
	got := shrunk(t, value{[]int{1, 2, 3, 4}, map[string]any{"a": 1, "b": map[string]any{"c": []any{1}, "d": 2}}}, fails)
	if want := "list:\n- 3\n- 4\nmap:\n  b:\n    d: 2\n"; toYAML(t, got) != want {
		t.Errorf("%s, want %s", toYAML(t, got), want)
	}
}
