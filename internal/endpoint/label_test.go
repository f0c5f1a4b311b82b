package endpoint

import (
	"strings"
	"testing"
)

func TestLabel_Executables(t *testing.T) {
	for in, want := range map[string]string{
		"redis-server":                 "redis-server",
		"python3.11":                   "python3-11",
		"My Server (v2)":               "my-server-v2",
		"__":                           "",
		"":                             "",
		"-x-":                          "x",
		"x--y":                         "x--y",
		"X--y":                         "x-y",
		"a..__..b":                     "a-b",
		"café":                         "caf",
		"é":                            "",
		"memfd:srv":                    "memfd-srv",
		strings.Repeat("a", 70):        strings.Repeat("a", 63),
		strings.Repeat("a", 62) + ".b": strings.Repeat("a", 62),
	} {
		if got := Label(in); got != want {
			t.Errorf("Label(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("My Server (v2)")
	f.Fuzz(func(t *testing.T, s string) {
		l := Label(s)
		if l != "" && CheckLabel(l) != nil {
			t.Errorf("Label(%q) = %q: %v", s, l, CheckLabel(l))
		}
		if CheckLabel(s) == nil && l != s {
			t.Errorf("Label(%q) = %q changes a valid label", s, l)
		}
		if Label(l) != l {
			t.Errorf("Label(%q) = %q, which is not stable", s, l)
		}
	})
}
