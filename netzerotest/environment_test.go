package netzerotest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvironment_RecordingsDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{"": "", dir: dir, "..": filepath.Dir(string(packageDir))} {
		t.Setenv("NETZERO_RECORDINGS", value)
		if e, err := readEnvironment(); err != nil || e.recordings != want {
			t.Errorf("%q: %q, %v, want %q", value, e.recordings, err, want)
		}
	}
	for _, value := range []string{file, filepath.Join(dir, "missing"), "missing"} {
		t.Setenv("NETZERO_RECORDINGS", value)
		_, err := readEnvironment()
		if err == nil || !strings.Contains(err.Error(), "is not an existing directory: make it first") {
			t.Errorf("%q: %v", value, err)
		}
	}
}
