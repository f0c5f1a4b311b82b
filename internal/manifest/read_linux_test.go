package manifest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The main goroutine keeps the main thread for itself: /proc/self shows the main thread, and a test that changes its
// thread must not change what other tests see.
func init() { runtime.LockOSThread() }

// An unreadable directory may contain manifests that a pattern matches: the error names it.
func TestRead_UnreadableDirectory(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(cartYAML), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("deploy/cart.yaml")
	write("deploy/listed/cart.yaml")
	write("deploy/closed/below/cart.yaml")
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"..": 0o755, "deploy/listed": 0o711, "deploy/closed": 0} {
		path = filepath.Join(dir, path)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Error(err)
			}
		})
	}
	for _, row := range []struct {
		reason, pattern, where string // where is empty if the pattern is read
		want                   error
	}{
		{"beside them", "deploy/*.yaml", "", nil},
		{"a file by its name in a directory that cannot be listed", "deploy/listed/cart.yaml", "", nil},
		{"all files in one that cannot be listed", "deploy/listed/*", "deploy/listed", fs.ErrPermission},
		{"one among several", "deploy/*/*.yaml", "deploy/closed", fs.ErrPermission},
		{"a file by its name", "deploy/closed/cart.yaml", "deploy/closed/cart.yaml", fs.ErrPermission},
		{"below it", "deploy/closed/below/*", "deploy/closed/below", fs.ErrPermission},
		{"below any", "deploy/*/below/*.yaml", "deploy/closed/below", fs.ErrPermission},
		{"a link to itself", "loop/*.yaml", "loop", syscall.ELOOP},
	} {
		err := readAsNobody(dir, row.pattern)
		if row.where == "" {
			if err != nil {
				t.Errorf("%s: %v", row.reason, err)
			}
			continue
		}
		if !errors.Is(err, row.want) || !strings.Contains(err.Error(), filepath.Join(dir, row.where)+":") {
			t.Errorf("%s: %v, want one that names %s", row.reason, err, row.where)
		}
	}
}

// readAsNobody reads with the rights of an ordinary user: root may read every directory.
func readAsNobody(dir, pattern string) error {
	read := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		if os.Geteuid() == 0 {
			const nobody = 65534
			if _, err := unix.SetfsuidRetUid(nobody); err != nil {
				read <- err
				return
			}
		}
		_, err := Read(dir, pattern)
		read <- err
	}()
	return <-read
}
