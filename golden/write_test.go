package golden

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrite_Mode(t *testing.T) {
	for _, c := range []struct {
		reason string
		mode   fs.FileMode // of a file that exists; 0 for none
		want   fs.FileMode
	}{
		{"a new file in new directories", 0, 0o644},
		{"over a file", 0o644, 0o644},
		{"over a file that only its owner may read", 0o600, 0o600},
		{"over a file that everybody may write", 0o666, 0o666},
	} {
		path := filepath.Join(t.TempDir(), "testdata", "netzero", "Test", "x.yaml")
		if c.mode != 0 {
			write(t, path, "old")
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := Write(path, []byte("new")); err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		checkFile(t, c.reason, path, "new")
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != c.want {
			t.Errorf("%s: mode %v, want %v", c.reason, info.Mode().Perm(), c.want)
		}
	}
}

func TestWrite_EqualFileUntouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	write(t, path, "text")
	before, _ := os.Stat(path)
	for _, c := range []struct {
		reason, text string
		same         bool
	}{
		{"equal", "text", true},
		{"as long, but different", "TEXT", false},
	} {
		if err := Write(path, []byte(c.text)); err != nil {
			t.Fatal(err)
		}
		after, _ := os.Stat(path)
		if os.SameFile(before, after) != c.same {
			t.Errorf("%s: the file was replaced: %v", c.reason, c.same)
		}
	}
}

func TestWrite_ThroughLinks(t *testing.T) {
	for _, c := range []struct{ reason, link, named, file string }{
		{"a relative link", "a/x.yaml", "../b/y.yaml", "b/y.yaml"},
		{"an absolute link", "a/x.yaml", "ROOT/b/y.yaml", "b/y.yaml"},
		{"a link of a link", "a/x.yaml", "../links/to-b.yaml", "b/y.yaml"},
		{"a directory that is a link", "links/b", "../b", "b/x.yaml"},
		{"a relative link in a linked directory", "b/x.yaml", "../y.yaml", "y.yaml"},
		{"a link to nothing", "a/x.yaml", "../c/d/y.yaml", "c/d/y.yaml"},
	} {
		root := t.TempDir()
		write(t, filepath.Join(root, "b", "y.yaml"), "old")
		for _, dir := range []string{"a", "links", "deep"} {
			if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for link, named := range map[string]string{"links/to-b.yaml": "../b/y.yaml", "deep/b": "../b",
			c.link: strings.Replace(c.named, "ROOT", root, 1)} {
			if err := os.Symlink(named, filepath.Join(root, link)); err != nil {
				t.Skip(err) // Windows without the privilege
			}
		}
		path := filepath.Join(root, c.link)
		switch c.link {
		case "links/b":
			path = filepath.Join(path, "x.yaml")
		case "b/x.yaml":
			path = filepath.Join(root, "deep", "b", "x.yaml")
		}
		if err := Write(path, []byte("new")); err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		checkFile(t, c.reason, filepath.Join(root, c.file), "new")
		checkFile(t, c.reason, path, "new")
		if info, err := os.Lstat(filepath.Join(root, c.link)); err != nil || info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s: the link is gone", c.reason)
		}
	}
}

func TestWrite_Errors(t *testing.T) {
	for _, c := range []struct {
		reason  string
		prepare func(dir string) error
		want    string
	}{
		{"a directory in the file's place",
			func(dir string) error { return os.MkdirAll(filepath.Join(dir, "d", "x.yaml"), 0o755) }, "not a regular file"},
		{"a file in a directory's place", func(dir string) error { return os.WriteFile(filepath.Join(dir, "d"), nil, 0o644) },
			"not a directory"},
		{"a link in a circle", func(dir string) error {
			if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
				return err
			}
			return os.Symlink("x.yaml", filepath.Join(dir, "d", "x.yaml"))
		}, "too many symbolic links"},
	} {
		dir := t.TempDir()
		if err := c.prepare(dir); err != nil {
			t.Fatal(err)
		}
		before := tree(t, dir)
		path := filepath.Join(dir, "d", "x.yaml")
		err := Write(path, []byte("new"))
		if err == nil || !strings.HasPrefix(err.Error(), "write golden "+path+": ") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
		}
		if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
			t.Errorf("%s: files (-before +after):\n%s", c.reason, diff)
		}
	}
}

func TestWrite_AtomicForReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	texts := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<17)}
	write(t, path, texts[0])
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for range 25 {
				if err := Write(path, []byte(texts[i%2])); err != nil && runtime.GOOS != "windows" {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		select {
		case <-done:
			if diff := cmp.Diff([]string{"x.yaml"}, sortedNames(tree(t, filepath.Dir(path)))); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			return
		default:
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != texts[0] && string(got) != texts[1] {
			t.Fatalf("read %d bytes (%v)", len(got), err)
		}
	}
}

func checkFile(t *testing.T, reason, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%s: %v", reason, err)
	} else if string(got) != want {
		t.Errorf("%s: %s holds %q, want %q", reason, path, got, want)
	}
}

// tree returns all files below a directory with their content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		files[rel] = entry.Type().String()
		if entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			files[rel] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sortedNames(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }
