package gotest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUse_GoldenByLink(t *testing.T) {
	path, link := filepath.Join(t.TempDir(), "mine.yaml"), filepath.Join(t.TempDir(), "link.yaml")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err) // on Windows, not every user may create links
	}
	use := NewUse(".")
	if use.HasGolden(path) {
		t.Error("a recording has the file before any had it")
	}
	use.AddGolden(link)
	if !use.HasGolden(path) || !use.HasGolden(link) {
		t.Error("no recording has the file, though one has it by a link")
	}
}

func TestUse_Whole(t *testing.T) {
	use := NewUse(".")
	if use.Whole(nil) {
		t.Error("a run without tests is whole")
	}
	use.ran = map[string]bool{"TestKept": true, "TestSkipped": false}
	for _, row := range []struct {
		reason string
		tests  []string
		want   bool
	}{
		{"all tests, one of which was skipped", nil, false},
		{"a test that ran", []string{"TestKept"}, true},
		{"one of two was skipped", []string{"TestKept", "TestSkipped"}, false},
		{"a test that did not run", []string{"TestOther"}, false},
	} {
		if got := use.Whole(row.tests); got != row.want {
			t.Errorf("%s: %v", row.reason, got)
		}
	}
}
