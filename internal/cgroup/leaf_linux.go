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

// Leaf is a cgroup that this process made for itself. The caller removes it with [Leaf.Leave].
type Leaf struct {
	Path string
	ID   uint64

	tree   Tree
	parent string
	lock   *os.File
}

// NewLeaf makes a leaf below the current cgroup of this process, and removes the leaves that killed runs left there. It
// moves no process. Errors: [ErrReadOnly], [ErrNotPermitted].
func NewLeaf(t Tree) (*Leaf, error) { return t.newBelow(leafPrefix) }

// newBelow is NewLeaf for a cgroup with another prefix.
func (t Tree) newBelow(prefix string) (*Leaf, error) {
	parent, err := t.Current()
	if err != nil {
		return nil, err
	}
	removeStale(parent)
	for try := 0; ; try++ {
		path := filepath.Join(parent, fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), try))
		err := makeDir(path)
		if errors.Is(err, fs.ErrExist) || isGone(err) { // gone: like errTaken
			continue
		}
		if err != nil {
			return nil, err
		}
		leaf, err := t.acquire(path, parent)
		if errors.Is(err, errTaken) {
			continue // another run took it for stale before we locked it
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}
		return leaf, nil
	}
}

// makeDir makes a cgroup. It returns an error that is fs.ErrExist if there is one.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o755)
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("make cgroup %s: %w", path, ErrReadOnly)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("make cgroup %s: %w", path, ErrNotPermitted)
	case err != nil:
		return fmt.Errorf("make cgroup: %w", err)
	}
	// Recordings of other users read it, whatever the umask of this process.
	if err := os.Chmod(path, 0o755); err != nil {
		return errors.Join(fmt.Errorf("make cgroup: %w", err), os.Remove(path))
	}
	return nil
}

var errTaken = errors.New("taken by another process")

// acquire locks the leaf. It returns errTaken if the leaf is gone.
func (t Tree) acquire(path, parent string) (*Leaf, error) {
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	id, err := ID(path) // the lock protects it from removal from now on
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &Leaf{Path: path, ID: id, tree: t, parent: parent, lock: lock}, nil
}

// lockDir locks a leaf. It returns errTaken if another process has the lock, or had it and removed the leaf.
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

// isStill reports whether path still names this open directory. A lock on a removed directory protects nothing.
func isStill(dir *os.File, path string) bool {
	open, err := dir.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(open, named)
}

// isGone reports whether an error means that the cgroup was removed, perhaps during the operation.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }

// Move moves processes into the leaf with all of their threads; their later children inherit the cgroup. A process
// stays where it is if it has ended or is not in the leaf's parent cgroup, because Leave could not move it back.
func (l *Leaf) Move(pids ...int) error {
	here, err := processes(l.parent)
	if err != nil {
		return err
	}
	return move(l.Path, slices.DeleteFunc(slices.Clone(pids),
		func(pid int) bool { return !slices.Contains(here, pid) }))
}

// Siblings returns the processes in the leaf's parent cgroup: those that [Leaf.Move] can move.
func (l *Leaf) Siblings() ([]int, error) { return processes(l.parent) }

// Processes returns the processes in the leaf and in the cgroups below it. An error means that some may be missing.
func (l *Leaf) Processes() ([]int, error) {
	var all []int
	err := filepath.WalkDir(l.Path, func(dir string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			var pids []int
			pids, err = processes(dir)
			all = append(all, pids...)
		}
		if isGone(err) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil // a cgroup below was removed, or is threaded, so that its processes are listed above
		}
		return err
	})
	return all, err
}

// Check returns an error if this process is no longer in the leaf because somebody moved it.
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

// InLeaf reports whether this process is in a leaf, its own or an ancestor's. If so, its traffic is recorded. It
// returns true if the cgroup cannot be read.
func InLeaf() bool {
	path, err := OfProcess(os.Getpid())
	if err != nil {
		return !errors.Is(err, ErrNoTree)
	}
	return slices.ContainsFunc(elements(path), isLeaf)
}

// isLeaf reports whether NewLeaf gives cgroups such a name.
func isLeaf(name string) bool {
	var pid, try int
	n, err := fmt.Sscanf(name, leafPrefix+"%d-%d", &pid, &try)
	return err == nil && n == 2
}

// Leave moves the processes in the leaf and in the cgroups below it back to the leaf's parent, and removes the leaf.
func (l *Leaf) Leave() error {
	err := removeTree(l.Path, l.parent, patience)
	return errors.Join(err, l.lock.Close())
}

// How long to wait for a cgroup to become empty: its processes may fork faster than we list them. Stale leaves get less
// time, because they may contain processes of an invisible pid namespace.
const (
	patience      = 5 * time.Second
	stalePatience = 100 * time.Millisecond
)

// removeTree moves all processes of a cgroup and of those below it into another cgroup, and removes them.
func removeTree(dir, into string, patience time.Duration) error {
	// First the cgroup itself: a process with threads in threaded cgroups moves as a whole, and only this cgroup lists
	// it.
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
			err = errors.Join(err, removeTree(filepath.Join(dir, entry.Name()), into, patience))
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

// empty moves the processes of a cgroup into another one. The processes of a threaded cgroup are listed in its parent.
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
		if pid != 0 { // 0: in a pid namespace that this process cannot see
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// removeStale removes the leaves of dead runs. A leaf that cannot be removed does no harm; the next run tries again.
func removeStale(parent string) {
	leaves, _ := filepath.Glob(filepath.Join(parent, leafPrefix+"*"))
	for _, path := range leaves {
		lock, err := lockDir(path)
		if err != nil {
			continue // alive, or gone
		}
		_ = removeTree(path, parent, stalePatience)
		lock.Close()
	}
}
