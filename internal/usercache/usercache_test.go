package usercache

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRemove(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if removed, err := Remove(); removed != "" || err != nil {
		t.Errorf("no cache: removed %q (%v)", removed, err)
	}
	dir, err := Make()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"helper-amd64-0123", "build.lock", KernelTypes, ".netzero-1.tmp"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := Remove(); removed != dir || err != nil {
		t.Errorf("removed %q (%v), want %s", removed, err, dir)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
}
