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

// ID returns the id by which the kernel's helpers know the cgroup of a directory: its kernfs id, which
// name_to_handle_at(2) gives on every architecture.
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

// Path returns the directory of the cgroup that has an id. It asks the kernel, which takes no longer in a large tree; where
// that is not permitted (CAP_DAC_READ_SEARCH), it walks the tree. Errors: [ErrNoCgroup].
func (t Tree) Path(id uint64) (string, error) {
	dir, err := t.open(id)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return t.look(id)
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
		return "", ErrNoCgroup // a file of a cgroup, which has an id too
	}
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	dir, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return "", err
	}
	// It may be removed by now, or lie above what the mount shows: then this is no path to it.
	if got, err := ID(dir); err != nil || got != id {
		return "", ErrNoCgroup
	}
	return dir, nil
}

// look finds a cgroup by walking the tree.
func (t Tree) look(id uint64) (string, error) {
	for dir, got := range t.Walk() {
		if got == id {
			return dir, nil
		}
	}
	return "", fmt.Errorf("find cgroup %d: %w", id, ErrNoCgroup)
}

// Walk returns the directory and the id of every cgroup of the tree, a cgroup before those that lie in it. It leaves out what
// goes while it walks, and what this process may not read.
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
