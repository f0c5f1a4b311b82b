package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// remains reports whether a cgroup of a parent's name exists.
func (p *Parent) remains() bool {
	_, err := os.Stat(p.path)
	return err == nil
}

func newParent(t *testing.T) (Tree, *Parent) {
	t.Helper()
	testenv.RequireRoot(t)
	tree, err := FindTree()
	check(t, err)
	p := tree.NewParent(NewParentName())
	t.Cleanup(func() { _ = p.Remove() })
	return tree, p
}

func TestParent_MadeAgain(t *testing.T) {
	tree, p := newParent(t)
	first, err := p.Make()
	check(t, err)
	again, err := p.Make()
	check(t, err)
	if first != again || first == 0 {
		t.Errorf("a cgroup that exists has the IDs %d and %d", first, again)
	}
	if at, err := tree.Path(first); err != nil || at != p.path {
		t.Errorf("ID %d is of %s, %v, not of %s", first, at, err, p.path)
	}
	check(t, os.Remove(p.path)) // as systemd may
	check(t, os.Mkdir(p.path, 0o755))
	check(t, os.Mkdir(filepath.Join(p.path, "container"), 0o755))
	if got := p.Children(); len(got) > 0 {
		t.Errorf("a cgroup that was not made by Make has the children %q", got)
	}
	check(t, os.Remove(filepath.Join(p.path, "container")))
	if other, err := p.Make(); err != nil || other == first || !p.remains() {
		t.Errorf("after its removal it has ID %d, %v", other, err)
	}
	check(t, p.Remove())
	check(t, p.Remove())
	if p.remains() {
		t.Error("it exists after Remove")
	}
}

func TestParent_Stale(t *testing.T) {
	tree, used := newParent(t)
	_, err := used.Make()
	check(t, err)
	_, stale := newParent(t)
	_, err = stale.Make()
	check(t, err)
	stale.unlock() // its run has ended
	_, occupied := newParent(t)
	_, err = occupied.Make()
	check(t, err)
	container := filepath.Join(occupied.path, "container")
	check(t, os.Mkdir(container, 0o755))
	t.Cleanup(func() { _ = occupied.Remove() })
	t.Cleanup(func() { _ = os.Remove(container) })
	if got := occupied.Children(); !slices.Equal(got, []string{"container"}) {
		t.Errorf("children: %q", got)
	}
	if err := occupied.Remove(); err == nil {
		t.Error("a cgroup with a container was removed")
	}
	tree.RemoveStaleParents()
	if !used.remains() || !occupied.remains() || stale.remains() {
		t.Errorf("exists: of a running test %t, with a container %t, stale %t", used.remains(), occupied.remains(),
			stale.remains())
	}
}

func TestParent_RemovedFromV1(t *testing.T) {
	_, p := newParent(t)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	check(t, err)
	var made []string
	for old, readOnly := range hierarchies(mounts, "cgroup") {
		if dir := filepath.Join(old.Root, p.name); !readOnly && os.Mkdir(dir, 0o755) == nil {
			made = append(made, dir)
			t.Cleanup(func() { _ = os.Remove(dir) })
		}
	}
	if len(made) == 0 {
		t.Skip("no hierarchy of cgroup v1 is mounted")
	}
	check(t, p.Remove())
	for _, dir := range made {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
