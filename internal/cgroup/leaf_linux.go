package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Leaf is a cgroup of this process's own. The one who made it leaves it with [Leaf.Leave].
type Leaf struct {
	Path string
	ID   uint64

	tree   Tree
	parent string
	lock   *os.File
}

// NewLeaf makes a leaf below the cgroup that this process is in, and removes those that killed runs have left there.
// It does not move anybody. Errors: [ErrReadOnly], [ErrNotPermitted].
func NewLeaf(t Tree) (*Leaf, error) {
	parent, err := t.Current()
	if err != nil {
		return nil, err
	}
	removeStale(parent)
	for try := 0; ; try++ {
		path := filepath.Join(parent, fmt.Sprintf("%s%d-%d", leafPrefix, os.Getpid(), try))
		err := os.Mkdir(path, 0o755)
		switch {
		case errors.Is(err, fs.ErrExist):
			continue
		case errors.Is(err, unix.EROFS):
			return nil, fmt.Errorf("make cgroup %s: %w", path, ErrReadOnly)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("make cgroup %s: %w", path, ErrNotPermitted)
		case err != nil:
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		leaf, err := t.hold(path, parent)
		if errors.Is(err, errTaken) {
			continue // another run found it before we held it, and took it for stale
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}
		return leaf, nil
	}
}

var errTaken = errors.New("taken by another process")

// hold locks the leaf; errTaken where it is gone.
func (t Tree) hold(path, parent string) (*Leaf, error) {
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	id, err := ID(path) // of what we hold: nobody removes it from now on
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &Leaf{Path: path, ID: id, tree: t, parent: parent, lock: lock}, nil
}

// lockDir takes the lock of a leaf; errTaken where somebody else has it, or had it and removed the leaf.
func lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if isGone(err) {
		return nil, errTaken
	}
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !isStill(dir, path) {
		err = errTaken
	}
	if err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock cgroup %s: %w", path, err)
	}
	return dir, nil
}

// isStill reports whether an open directory is the one that the path names: a lock on a removed one is worth nothing.
func isStill(dir *os.File, path string) bool {
	open, err := dir.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

// isGone reports whether an error says that a cgroup was removed, perhaps while it was looked at.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }

// Move moves processes into the leaf, all threads of each; their children follow by inheritance. One that has ended by
// now, or is not in the cgroup in which the leaf was made, stays where it is: Leave could not bring it back.
func (l *Leaf) Move(pids ...int) error {
	here, err := processes(l.parent)
	if err != nil {
		return err
	}
	return move(l.Path, slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return !slices.Contains(here, pid) }))
}

// Beside returns the processes in the cgroup in which the leaf was made: those that [Leaf.Move] can move.
func (l *Leaf) Beside() ([]int, error) { return processes(l.parent) }

// Processes returns the processes in the leaf, and in cgroups that were made below it. An error says that some may be missing.
func (l *Leaf) Processes() ([]int, error) {
	var all []int
	err := filepath.WalkDir(l.Path, func(dir string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			var pids []int
			pids, err = processes(dir)
			all = append(all, pids...)
		}
		if isGone(err) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil // one below was removed, or is threaded: then its processes are listed above
		}
		return err
	})
	return all, err
}

// Check returns an error where this process is not in the leaf any more: somebody moved it.
func (l *Leaf) Check() error {
	dir, err := l.tree.Current()
	if err != nil {
		return err
	}
	if dir != l.Path {
		return fmt.Errorf("this process is in cgroup %s, not in %s: something moved it", dir, l.Path)
	}
	return nil
}

func move(dir string, pids []int) error {
	for _, pid := range pids {
		err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
		switch {
		case err == nil || errors.Is(err, unix.ESRCH):
		case errors.Is(err, fs.ErrPermission):
			return fmt.Errorf("move process %d into cgroup %s: %w", pid, dir, ErrNotPermitted)
		default:
			return fmt.Errorf("move process %d into cgroup: %w", pid, err)
		}
	}
	return nil
}

// InLeaf reports whether this process is in a leaf, its own or that of a process from which it descends: whatever it opens is
// recorded then. Where that cannot be read it is taken to be so.
func InLeaf() bool {
	path, err := OfProcess(os.Getpid())
	if err != nil {
		return !errors.Is(err, ErrNoTree)
	}
	return slices.ContainsFunc(elements(path), isLeaf)
}

// isLeaf reports whether a cgroup's name is one that NewLeaf gives.
func isLeaf(name string) bool {
	var pid, try int
	n, err := fmt.Sscanf(name, leafPrefix+"%d-%d", &pid, &try)
	return err == nil && n == 2
}

// Leave moves whoever is in the leaf, and in cgroups that were made below it, back to where the leaf was made, and
// removes it.
func (l *Leaf) Leave() error {
	err := dissolve(l.Path, l.parent, patience)
	return errors.Join(err, l.lock.Close())
}

// How long a cgroup may take to become empty: who is in it may fork faster than we look. Nobody waits long for a stale
// one, which may hold what we cannot see.
const (
	patience      = 5 * time.Second
	stalePatience = 100 * time.Millisecond
)

// dissolve empties a cgroup and all below it into another one, and removes it.
func dissolve(dir, into string, patience time.Duration) error {
	// Before those below: a process whose threads are in threaded cgroups goes with all of them, and is listed here only.
	err := empty(dir, into)
	if isGone(err) {
		return nil
	}
	below, readErr := os.ReadDir(dir)
	if isGone(readErr) {
		return nil
	}
	if err = errors.Join(err, readErr); err != nil {
		return fmt.Errorf("leave cgroup: %w", err)
	}
	for _, entry := range below {
		if entry.IsDir() {
			err = errors.Join(err, dissolve(filepath.Join(dir, entry.Name()), into, patience))
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		rmErr := os.Remove(dir)
		if rmErr == nil || isGone(rmErr) {
			return err
		}
		if !errors.Is(rmErr, unix.EBUSY) || time.Now().After(deadline) {
			return errors.Join(err, fmt.Errorf("remove cgroup: %w", rmErr))
		}
		if emptyErr := empty(dir, into); isGone(emptyErr) {
			return err
		} else if emptyErr != nil {
			return errors.Join(err, emptyErr)
		}
	}
}

// empty moves the processes of a cgroup into another one. Those of a threaded cgroup are its parent's.
func empty(dir, into string) error {
	pids, err := processes(dir)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		return err
	}
	return move(into, pids)
}

func processes(dir string) ([]int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("list cgroup: %w", err)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list cgroup %s: %w", dir, err)
		}
		if pid != 0 { // 0: of a pid namespace that we cannot see into
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// removeStale removes the leaves of runs that died. What cannot be removed stays for the next run: it is in nobody's
// way.
func removeStale(parent string) {
	leaves, _ := filepath.Glob(filepath.Join(parent, leafPrefix+"*"))
	for _, path := range leaves {
		lock, err := lockDir(path)
		if err != nil {
			continue // alive, or gone
		}
		_ = dissolve(path, parent, stalePatience)
		lock.Close()
	}
}
