package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// nested makes a cgroup below that of this process, and another one below it.
func nested(t *testing.T) (tree Tree, outer, inner string) {
	t.Helper()
	testenv.RequireRoot(t)
	tree, err := FindTree()
	if err != nil {
		t.Fatal(err)
	}
	parent, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	outer = filepath.Join(parent, fmt.Sprintf("cgroup-test-%d", os.Getpid()))
	inner = filepath.Join(outer, "in ner")
	for _, dir := range []string{outer, inner} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
	}
	return tree, outer, inner
}

func idOf(t *testing.T, dir string) uint64 {
	t.Helper()
	id, err := ID(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestPath_ByID(t *testing.T) {
	tree, outer, inner := nested(t)
	ways := map[string]func(uint64) (string, error){"by handle": tree.open, "by walking": tree.searchID,
		"as it is": tree.Path}
	for way, path := range ways {
		for _, dir := range []string{tree.Root, outer, inner} {
			if got, err := path(idOf(t, dir)); err != nil || got != dir {
				t.Errorf("%s: got %q, %v; want %q", way, got, err, dir)
			}
		}
	}
	gone := idOf(t, inner)
	if err := os.Remove(inner); err != nil {
		t.Fatal(err)
	}
	file := idOf(t, filepath.Join(outer, "cgroup.procs"))
	for reason, id := range map[string]uint64{"removed": gone, "never created": 1 << 62, "none": 0,
		"a file of a cgroup": file} {
		if got, err := tree.Path(id); !errors.Is(err, ErrNoCgroup) {
			t.Errorf("%s: got %q, %v; want ErrNoCgroup", reason, got, err)
		}
		if got, err := tree.searchID(id); !errors.Is(err, ErrNoCgroup) {
			t.Errorf("%s, by walking: got %q, %v; want ErrNoCgroup", reason, got, err)
		}
	}
	if got, err := (Tree{Root: inner}).Path(idOf(t, outer)); err == nil {
		t.Errorf("in a tree that is gone: got %q", got)
	}
}

func TestID_RisesWithCreation(t *testing.T) {
	_, outer, inner := nested(t)
	for last := idOf(t, inner); ; {
		if err := os.Remove(inner); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		id := idOf(t, inner)
		if id <= last || last <= idOf(t, outer) {
			t.Fatalf("a cgroup made later has id %d, after %d", id, last)
		}
		if last = id; last > idOf(t, outer)+100 {
			return
		}
	}
}

func TestWalk_ParentsFirst(t *testing.T) {
	tree, outer, inner := nested(t)
	at := make(map[string]int)
	for dir, id := range tree.Walk() {
		at[dir] = len(at) + 1
		if (dir == outer || dir == inner) && id != idOf(t, dir) {
			t.Errorf("%s has id %d, want %d", dir, id, idOf(t, dir))
		}
	}
	if at[tree.Root] != 1 || at[outer] == 0 || at[inner] <= at[outer] {
		t.Errorf("positions: root %d, outer %d, inner %d, want them to rise", at[tree.Root], at[outer], at[inner])
	}
	n := 0
	for range tree.Walk() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("a walk that was left after 2 went to %d", n)
	}
}
