package cgroup

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Members returns the processes of a cgroup and of the cgroups below it. It leaves out cgroups that are removed
// meanwhile.
func Members(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil && isGone(err) || err == nil && !entry.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		members, err := processes(path)
		// a threaded cgroup, with its processes listed in its parent
		if isGone(err) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil
		}
		pids = append(pids, members...)
		return err
	})
	return pids, err
}

// Members returns the processes of the cgroup with this id and of the cgroups below it. Errors: [ErrNoCgroup].
func (t Tree) Members(id uint64) ([]int, error) {
	dir, err := t.Path(id)
	if err != nil {
		return nil, err
	}
	return Members(dir)
}
