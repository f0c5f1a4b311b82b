package cgroup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// parentPrefix starts the name of every parent. It differs from that of leaves: a stale leaf's processes are moved out,
// but those in a parent belong to containers, which may outlive a killed run.
const parentPrefix = "netzero_"

// NewParentName returns a name for a parent that no other has.
func NewParentName() string { return parentPrefix + strings.ToLower(rand.Text()) }

// Parent is a cgroup below the root of a tree in which a container engine makes the cgroups of containers. No process
// is in it itself. It is not safe for concurrent use.
type Parent struct {
	name, path string
	lock       *os.File // as in Leaf; nil if the cgroup was not made
}

// NewParent returns the parent with a name that begins like those of [NewParentName]. It makes no cgroup.
func (t Tree) NewParent(name string) *Parent {
	return &Parent{name: name, path: filepath.Join(t.Root, name)}
}

// Make makes the cgroup if it does not exist, and returns its ID. systemd may remove a cgroup that has become empty, so
// call it before each start of a container. Errors: [ErrReadOnly], [ErrNotPermitted].
func (p *Parent) Make() (uint64, error) {
	if p.exists() {
		return ID(p.path)
	}
	p.unlock()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if err := makeDir(p.path); err != nil && !errors.Is(err, fs.ErrExist) && !isGone(err) {
			return 0, err
		}
		lock, err := lockDir(p.path)
		if errors.Is(err, errTaken) && time.Now().Before(deadline) {
			continue // another run took it for stale before it was locked
		}
		if err != nil {
			return 0, err
		}
		p.lock = lock
		return ID(p.path)
	}
}

// exists reports whether the cgroup is the one that Make made.
func (p *Parent) exists() bool { return p.lock != nil && isStill(p.lock, p.path) }

// Children returns the names of the cgroups in it. It returns none if the cgroup from Make does not exist any more.
func (p *Parent) Children() []string {
	entries, err := os.ReadDir(p.path)
	if err != nil || !p.exists() {
		return nil
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names
}

// Remove removes the cgroup, also from the hierarchies of cgroup v1, where the engine made it. It returns an error if
// there are containers left. A later run then removes it ([Tree.RemoveStaleParents]).
func (p *Parent) Remove() error {
	p.unlock()
	if err := os.Remove(p.path); err != nil && !isGone(err) {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	removeFromV1(p.name)
	return nil
}

func (p *Parent) unlock() {
	if p.lock != nil {
		p.lock.Close()
		p.lock = nil
	}
}

// RemoveStaleParents removes the parents that ended runs left, unless they have containers.
func (t Tree) RemoveStaleParents() {
	found, _ := filepath.Glob(filepath.Join(t.Root, parentPrefix+"*"))
	for _, path := range found {
		lock, err := lockDir(path)
		if err != nil {
			continue // of a running test, or gone
		}
		if os.Remove(path) == nil {
			removeFromV1(filepath.Base(path))
		}
		lock.Close()
	}
}

// removeFromV1 removes the cgroups with a name from the hierarchies of cgroup v1. On a machine with both versions an
// engine makes one in each hierarchy. Those that cannot be removed do no harm.
func removeFromV1(name string) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	for t, readOnly := range hierarchies(mounts, "cgroup") {
		if !readOnly {
			_ = os.Remove(filepath.Join(t.Root, name))
		}
	}
}
