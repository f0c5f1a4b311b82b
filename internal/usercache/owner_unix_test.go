//go:build unix

package usercache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Others could place files in such a directory, which this user would trust.
func TestMake_WritableByOthers(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, err := Make()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(); err == nil {
		t.Error("a directory that everybody may write into is accepted")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(dir), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := Make(); err == nil {
		t.Error("a symbolic link is accepted")
	}
}

// As root by sudo, the home may be another user's.
func TestIsInOwn(t *testing.T) {
	testenv.RequireRoot(t)
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, ".cache"))
	if !IsInOwn() {
		t.Error("this user's own home is not this user's")
	}
	if err := os.Chown(home, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if IsInOwn() {
		t.Error("another user's home is this user's")
	}
}
