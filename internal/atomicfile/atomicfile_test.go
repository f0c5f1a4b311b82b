package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// entries returns the names in a directory.
func entries(t *testing.T, dir string) string {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWrite_ReplacesAndFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a"), filepath.Join(dir, "link")
	if err := os.Symlink("a", link); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ path, text string }{{link, "new"}, {path, "a longer text"}, {link, ""}, {path, "last"}} {
		if err := Write(row.path, []byte(row.text), nil); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != row.text {
			t.Errorf("%q, want %q", got, row.text)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link has gone: %v", err)
	}
	if got := entries(t, dir); got != "a link" {
		t.Errorf("the directory holds %s", got)
	}
}

func TestWrite_Prepares(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := Write(path, []byte("old"), func(f *os.File) error { return f.Chmod(0o640) }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v: %v", info.Mode(), err)
	}
	refused := errors.New("refused")
	if err := Write(path, []byte("new"), func(*os.File) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("error %v, want that of prepare", err)
	}
	if got := read(t, path); got != "old" {
		t.Errorf("after an error the file holds %q", got)
	}
	if got := entries(t, filepath.Dir(path)); got != "a" {
		t.Errorf("the directory holds %s", got)
	}
}

// Errors name the file, and no temporary one.
func TestWrite_Errors(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		reason, path string
		want         error
	}{
		{"a directory", dir, syscall.EISDIR},
		{"no directory", filepath.Join(dir, "no", "a"), fs.ErrNotExist},
		{"a file in place of a directory", filepath.Join(os.Args[0], "a"), syscall.ENOTDIR},
	} {
		err := Write(row.path, []byte("text"), nil)
		var of *fs.PathError
		if !errors.Is(err, row.want) || !errors.As(err, &of) || of.Path != row.path {
			t.Errorf("%s: error %v, want one about %s: %v", row.reason, err, row.path, row.want)
		}
	}
	if err := Write(loop, nil, nil); err == nil || !strings.Contains(err.Error(), "too many symbolic links") {
		t.Errorf("a link to itself: %v", err)
	}
	if got := entries(t, dir); got != "loop" {
		t.Errorf("the directory holds %s", got)
	}
}
