package golden

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Keep the main thread for the main function: /proc/self shows the main thread, so a test that changes the mounts of
// its thread must not run there.
func init() { runtime.LockOSThread() }

const nobody = 65534

func TestWrite_OwnerUnderSudo(t *testing.T) {
	testenv.RequireRoot(t)
	for _, c := range []struct {
		reason   string
		uid, gid string
		oldOwner int // of a file that exists; -1 for none
		want     int
	}{
		{"a new file", "65534", "65533", -1, 65534},
		{"over a file of root", "65534", "65533", 0, 65534},
		{"over a file of the user", "65534", "65533", 65534, 65534},
		{"over a file of somebody else", "65534", "65533", 1234, 1234},
		{"root without sudo", "", "", -1, 0},
		{"root without sudo over a user's file", "", "", 1234, 1234},
		{"root who called sudo", "0", "0", -1, 0},
	} {
		t.Setenv("SUDO_UID", c.uid)
		t.Setenv("SUDO_GID", c.gid)
		dir := t.TempDir()
		path := filepath.Join(dir, "testdata", "netzero", "x.yaml")
		if c.oldOwner >= 0 {
			write(t, path, "old")
			if err := os.Chown(path, c.oldOwner, c.oldOwner); err != nil {
				t.Fatal(err)
			}
		}
		if err := Write(path, []byte("new")); err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if uid, _ := ownerOf(t, path); uid != c.want {
			t.Errorf("%s: the file belongs to %d, want %d", c.reason, uid, c.want)
		}
		if c.oldOwner >= 0 {
			continue
		}
		for _, d := range []string{filepath.Dir(path), filepath.Dir(filepath.Dir(path))} {
			if uid, gid := ownerOf(t, d); uid != c.want || uid == nobody && gid != 65533 {
				t.Errorf("%s: directory %s belongs to %d:%d, want %d", c.reason, d, uid, gid, c.want)
			}
		}
		if uid, _ := ownerOf(t, dir); uid != 0 {
			t.Errorf("%s: a directory that existed was given to %d", c.reason, uid)
		}
	}
}

func TestWrite_InvalidSudoUID(t *testing.T) {
	testenv.RequireRoot(t)
	t.Setenv("SUDO_UID", "ada")
	t.Setenv("SUDO_GID", "1")
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "x", "x.yaml"), []byte("new")); err == nil ||
		!strings.Contains(err.Error(), "read SUDO_UID") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(map[string]string{}, tree(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func ownerOf(t *testing.T, path string) (uid, gid int) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return int(stat.Uid), int(stat.Gid)
}

// The only copy of a policy must never hold half of a new text, or become empty.
func TestWrite_FailureKeepsOldFile(t *testing.T) {
	testenv.RequireRoot(t)
	large := strings.Repeat("large\n", 64<<10)
	for _, c := range []struct {
		reason  string
		path    string
		prepare func(dir string) error
		want    error
	}{
		{"full disk, over a file", "x.yaml", nil, syscall.ENOSPC},
		{"full disk, a new file in a new directory", "new/sub/y.yaml", nil, syscall.ENOSPC},
		{"read-only file system, over a file", "x.yaml", readOnly, syscall.EROFS},
		{"read-only file system, a new file", "new/y.yaml", readOnly, syscall.EROFS},
		{"read-only directory, over a file", "x.yaml", asNobody, syscall.EACCES},
		{"read-only directory, a new file in a new directory", "new/y.yaml", asNobody, syscall.EACCES},
	} {
		inMountNamespace(t, func(dir string) {
			write(t, filepath.Join(dir, "x.yaml"), "old")
			before := tree(t, dir)
			if c.prepare != nil {
				if err := c.prepare(dir); err != nil {
					t.Errorf("%s: %v", c.reason, err)
					return
				}
			}
			path := filepath.Join(dir, c.path)
			err := Write(path, []byte(large))
			if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), "write golden "+path+": ") {
				t.Errorf("%s: error %v, want %v", c.reason, err, c.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("%s: files (-before +after):\n%s", c.reason, diff)
			}
		})
	}
	inMountNamespace(t, func(dir string) { // the negative twin: a text that fits is written
		if err := Write(filepath.Join(dir, "new", "x.yaml"), []byte("small")); err != nil {
			t.Error(err)
		}
	})
}

// inMountNamespace runs f on a thread of its own, in a file system of 64 KiB that only this thread sees, and that goes
// with it. f must not call t.Fatal.
func inMountNamespace(t *testing.T, f func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Errorf("unshare mount namespace: %v", err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Errorf("make mounts private: %v", err)
			return
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0755"); err != nil {
			t.Errorf("mount tmpfs: %v", err)
			return
		}
		f(dir)
	}()
	<-done
}

func readOnly(dir string) error {
	return unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, "size=64k")
}

// asNobody gives up root's right to write everywhere, on this thread and for files only.
func asNobody(dir string) error {
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // made by testing, for its user only
		return err
	}
	if _, err := unix.SetfsuidRetUid(nobody); err != nil {
		return err
	}
	if uid, err := unix.SetfsuidRetUid(-1); err != nil || uid != nobody {
		return fs.ErrInvalid
	}
	return nil
}
