package probe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/usercache"
)

// The second process of a boot does not read the BTF.
func TestKernelTypes_File(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	read := openKernelTypes()
	want := findLayout(read)
	if read.spec == nil {
		t.Fatal("the BTF was not read")
	}
	if err := read.close(); err != nil {
		t.Fatal(err)
	}

	kept := openKernelTypes()
	got := findLayout(kept)
	if err := kept.close(); err != nil || kept.spec != nil {
		t.Errorf("the BTF was read again (%v)", err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(layout{}, sender{}, attribution{})); diff != "" {
		t.Errorf("(-read +kept)\n%s", diff)
	}

	if _, ok := kept.offset("task_struct", "no_such_member"); ok || kept.spec == nil {
		t.Errorf("a question without an answer: known %t, read the BTF %t", ok, kept.spec != nil)
	}
}

// A file of another boot, a broken one and one that cannot be written do no harm.
func TestKernelTypes_Unusable(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	first := openKernelTypes()
	want, _ := first.offset("task_struct", "mm")
	if err := first.close(); err != nil || want == 0 {
		t.Fatalf("offset %d (%v)", want, err)
	}
	path := filepath.Join(usercache.Path(), usercache.KernelTypes)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"of another boot": strings.Replace(strings.Replace(string(text), first.boot, "x"+first.boot[1:], 1),
			`:{"bytes":`, `:{"bytes":9`, 1),
		"cut off": string(text[:len(text)/2]), "empty": "", "null": "null", "of another type": "[1]",
		"without answers": `{"boot":"` + first.boot + `"}`,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		k := openKernelTypes()
		if got, ok := k.offset("task_struct", "mm"); got != want || !ok || k.spec == nil {
			t.Errorf("a file %s: offset %d (%t), want %d from the BTF", name, got, ok, want)
		}
		if err := k.close(); err != nil {
			t.Errorf("a file %s: %v", name, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	k := openKernelTypes()
	if got, ok := k.offset("task_struct", "mm"); got != want || !ok {
		t.Errorf("a directory: offset %d (%t), want %d", got, ok, want)
	}
	if err := k.close(); err != nil {
		t.Errorf("a directory: %v", err)
	}
}
