package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// delegatedPrefix starts the name of every delegated cgroup.
const delegatedPrefix = leafPrefix + "exec-"

// delegatedFiles are the files of a cgroup that its new owner writes, according to cgroups(7).
var delegatedFiles = []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"}

// Delegated is a cgroup that its owner may write to: a process in it can make a leaf of its own.
type Delegated struct {
	Path string
	Lock *os.File // the open directory; while somebody holds it, no other run removes the cgroup
}

// Delegate makes a cgroup below the current one of this process and gives it to a user. It moves no process. Errors:
// [ErrReadOnly], [ErrNotPermitted].
func Delegate(t Tree, uid, gid int) (*Delegated, error) {
	leaf, err := t.newBelow(delegatedPrefix)
	if err != nil {
		return nil, err
	}
	d := &Delegated{Path: leaf.Path, Lock: leaf.lock}
	for _, name := range delegatedFiles {
		file := filepath.Join(d.Path, name)
		if err := own(file, uid, gid); err != nil {
			return nil, errors.Join(fmt.Errorf("delegate cgroup: %w", err), d.Remove())
		}
	}
	return d, nil
}

// own changes the owner of a file, unless it is the owner already. That takes no privilege, because the kernel gives a
// new cgroup to the user who makes it.
func own(file string, uid, gid int) error {
	var s unix.Stat_t
	if err := unix.Stat(file, &s); err != nil {
		return &os.PathError{Op: "stat", Path: file, Err: err}
	}
	if int(s.Uid) == uid {
		return nil
	}
	return os.Chown(file, uid, gid)
}

// DelegatedAt returns the delegated cgroup of an open directory, such as [Delegated.Lock]. It returns an error for any
// other directory, and for a cgroup of another user than uid, unless uid is 0.
func DelegatedAt(dir *os.File, uid int) (*Delegated, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &fs); err != nil {
		return nil, fmt.Errorf("find cgroup: %w", err)
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", dir.Fd()))
	if err != nil {
		return nil, fmt.Errorf("find cgroup: %w", err)
	}
	var s unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &s); err != nil {
		return nil, fmt.Errorf("find cgroup: %w", err)
	}
	isOwner := uid == 0 || int(s.Uid) == uid
	if fs.Type != unix.CGROUP2_SUPER_MAGIC || !strings.HasPrefix(filepath.Base(path), delegatedPrefix) || !isOwner {
		return nil, fmt.Errorf("%s is not a cgroup that was delegated to user %d", path, uid)
	}
	return &Delegated{Path: path, Lock: dir}, nil
}

// IsDelegated reports whether this process is in a delegated cgroup, or below one.
func IsDelegated() bool {
	path, err := OfProcess(os.Getpid())
	return err == nil && slices.ContainsFunc(elements(path), func(name string) bool {
		return strings.HasPrefix(name, delegatedPrefix)
	})
}

// Enter moves this process into the cgroup, with all of its threads.
func (d *Delegated) Enter() error { return move(d.Path, []int{os.Getpid()}) }

// Remove moves the processes in the cgroup and in those below it to its parent, and removes it.
func (d *Delegated) Remove() error {
	err := removeTree(d.Path, filepath.Dir(d.Path), patience)
	return errors.Join(err, d.Lock.Close())
}

// Enter moves this process, with all of its threads, into the cgroup with a path like that of [OfProcess].
func (t Tree) Enter(path string) error {
	below, upward, ok := t.below(path)
	if !ok || upward {
		return fmt.Errorf("enter cgroup %s: it is outside the hierarchy mounted at %s", path, t.Root)
	}
	return move(filepath.Join(t.Root, below), []int{os.Getpid()})
}
