package gotest

import "testing"

// wrapped is a test as a test framework may wrap it.
type wrapped struct {
	testing.TB
	name string
}

func TestAtEnd_KnownForTests(t *testing.T) {
	known := map[string]any{
		"a test": t, "a wrapped test": wrapped{t, "w"}, "a pointer to one": &wrapped{t, "w"},
		"one wrapped twice": wrapped{TB: wrapped{TB: t}}, "a benchmark": new(testing.B),
	}
	unknown := map[string]any{
		"nothing": nil, "an empty wrapper": wrapped{}, "a nil test": (*testing.T)(nil), "a number": 1,
		"a test without a root": new(testing.T), "a fuzz test": new(testing.F),
	}
	for name, test := range known {
		if AtEnd(test) == nil {
			t.Errorf("%s: no end is known", name)
		}
	}
	for name, test := range unknown {
		if AtEnd(test) != nil {
			t.Errorf("%s: an end is known", name)
		}
	}
	t.Run("subtest", func(t *testing.T) {
		if AtEnd(t) == nil {
			t.Error("no end is known")
		}
	})
}

func TestAtEnd_IsLater(t *testing.T) {
	var ended bool
	t.Run("first", func(t *testing.T) { AtEnd(t)(func() { ended = true }) })
	t.Run("second", func(t *testing.T) {
		if ended {
			t.Error("called before the end")
		}
	})
}

func FuzzAtEnd_Unknown(f *testing.F) {
	f.Add(1)
	f.Fuzz(func(t *testing.T, _ int) {
		if AtEnd(t) != nil {
			t.Error("an end is known")
		}
	})
}
