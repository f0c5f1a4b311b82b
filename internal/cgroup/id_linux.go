package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ID returns the cgroup id of a directory, as the kernel's helpers report it: the kernfs id, which name_to_handle_at(2)
// returns on every architecture.
func ID(dir string) (uint64, error) {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, dir, 0)
	if err != nil {
		return 0, fmt.Errorf("find id of cgroup %s: %w", dir, err)
	}
	id := handle.Bytes()
	if len(id) != 8 {
		return 0, fmt.Errorf("find id of cgroup %s: its file handle has %d bytes, not 8", dir, len(id))
	}
	return binary.NativeEndian.Uint64(id), nil
}

// Path returns the directory of the cgroup with this id. It queries the kernel, which is fast in large trees too.
// Without the permission to do so (CAP_DAC_READ_SEARCH) it walks the tree. Errors: [ErrNoCgroup].
func (t Tree) Path(id uint64) (string, error) {
	dir, err := t.open(id)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return t.searchID(id)
	}
	if errors.Is(err, unix.ESTALE) || errors.Is(err, fs.ErrNotExist) {
		err = ErrNoCgroup
	}
	if err != nil {
		return "", fmt.Errorf("find cgroup %d: %w", id, err)
	}
	return dir, nil
}

// open finds a cgroup by its file handle, which is its id.
func (t Tree) open(id uint64) (string, error) {
	root, err := os.Open(t.Root)
	if err != nil {
		return "", err
	}
	defer root.Close()
	like, _, err := unix.NameToHandleAt(unix.AT_FDCWD, t.Root, 0)
	if err != nil {
		return "", err
	}
	handle := unix.NewFileHandle(like.Type(), binary.NativeEndian.AppendUint64(nil, id))
	fd, err := unix.OpenByHandleAt(int(root.Fd()), handle, unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOTDIR) {
		return "", ErrNoCgroup // files of a cgroup have ids too
	}
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	dir, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	// A removed cgroup, or one outside of the mount, has no valid path here.
	if got, err := ID(dir); err != nil || got != id {
		return "", ErrNoCgroup
	}
	return dir, nil
}

// searchID finds a cgroup by walking the tree.
func (t Tree) searchID(id uint64) (string, error) {
	for dir, got := range t.Walk() {
		if got == id {
			return dir, nil
		}
	}
	return "", fmt.Errorf("find cgroup %d: %w", id, ErrNoCgroup)
}

// Walk returns the directory and the id of every cgroup of the tree, parents first. It leaves out cgroups that are
// removed during the walk and those that this process may not read.
func (t Tree) Walk() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		_ = filepath.WalkDir(t.Root, func(dir string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return nil
			}
			if id, err := ID(dir); err == nil && !yield(dir, id) {
				return filepath.SkipAll
			}
			return nil
		})
	}
}
