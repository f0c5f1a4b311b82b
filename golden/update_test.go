package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Concurrent writers that each add a line must not lose each other's lines, as would happen without a lock.
func TestUpdate_ConcurrentWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "shared.yaml")
	const writers, rounds = 8, 12
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range rounds {
				changed, err := Update(path, func(old *File) ([]byte, error) {
					var tests []string
					if old != nil {
						tests = old.Header.Tests
					}
					return Format(Header{Tests: append(slices.Clone(tests), fmt.Sprintf("shop.Test%d_%d", i, j))},
						list(policy("shop", 1)))
				})
				if err != nil || !changed {
					t.Errorf("%v, %v", changed, err)
				}
			}
		})
	}
	all.Wait()
	file, err := Read(path)
	if err != nil || len(file.Header.Tests) != writers*rounds {
		t.Errorf("%d tests of %d: %v", len(file.Header.Tests), writers*rounds, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestUpdate_NothingToWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a", "x.yaml")
	broken := errors.New("broken")
	for _, c := range []struct {
		reason string
		change func(*File) ([]byte, error)
		want   error
	}{
		{"who has no text", func(*File) ([]byte, error) { return nil, nil }, nil},
		{"who fails", func(*File) ([]byte, error) { return []byte("x"), broken }, broken},
	} {
		if changed, err := Update(path, c.change); changed || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", c.reason, changed, err)
		}
		if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s leaves a directory", c.reason)
		}
	}
	write(t, filepath.Join(dir, "y.yaml"), checkoutYAML)
	same := func(old *File) ([]byte, error) { return old.Rewrite(old.Header, old.Policies) }
	if changed, err := Update(filepath.Join(dir, "y.yaml"), same); changed || err != nil {
		t.Errorf("the same text: %v, %v", changed, err)
	}
	write(t, filepath.Join(dir, "z.yaml"), "kind: [")
	if _, err := Update(filepath.Join(dir, "z.yaml"), same); err == nil || !strings.Contains(err.Error(), "not YAML") {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

func TestReadHeader_InvalidFiles(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"": "", "kind: [": "", "# test: TestA\nkind: [": "TestA", "kind: Deployment\n---\n# test: TestA\n": "",
		"\xff\xfe": "",
		"# shared by: shop.TestB\n# shared by: shop.TestA\n# shared by: shop.TestB\n": "shop.TestA,shop.TestB",
	} {
		path := filepath.Join(dir, "x.yaml")
		write(t, path, text)
		h, err := ReadHeader(path)
		if got := h.Test + strings.Join(h.Tests, ","); got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := ReadHeader(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
