package kernels

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A renamed test would run in the guests again, and a removed one needs no reason.
func TestSuites_SkippedTestsExist(t *testing.T) {
	for _, s := range Suites {
		files, err := filepath.Glob(filepath.Join("../..", s.Package, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no tests: %v", s.Package, err)
		}
		var text []byte
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, content...)
		}
		for name, reason := range s.Skip {
			if !regexp.MustCompile(`(?m)^func ` + name + `\(`).Match(text) {
				t.Errorf("%s has no %s: take it out of Skip", s.Package, name)
			}
			if reason == "" {
				t.Errorf("%s: %s is skipped without a reason", s.Package, name)
			}
		}
	}
}

func TestSkipPattern_Exact(t *testing.T) {
	s := Suite{Skip: map[string]string{"TestB": "x", "TestA": "y"}}
	if got, want := s.skipPattern(), "^(TestA|TestB)$"; got != want {
		t.Errorf("pattern %q, want %q", got, want)
	}
	if got := (Suite{}).skipPattern(); got != "" {
		t.Errorf("nothing to skip: pattern %q", got)
	}
}
