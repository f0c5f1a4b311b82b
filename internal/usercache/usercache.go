// Package usercache is the directory in which this user's processes keep what they would otherwise build or read again:
// helpers of `netzero exec`, and where the kernel stores what the eBPF programs read.
package usercache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// KernelTypes is the name of the file with offsets in the kernel's structs.
const KernelTypes = "kernel-types.json"

// Path returns the directory: netzero in [os.UserCacheDir], or a directory of this user for temporary files if there is
// no home directory.
func Path() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("netzero-%d", os.Getuid()))
	}
	return filepath.Join(dir, "netzero")
}

// Make makes the directory if there is none, and returns its path. It returns an error if another user owns it or may
// write into it.
func Make() (string, error) {
	dir := Path()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make netzero's cache: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("make netzero's cache: %w", err)
	}
	if !info.IsDir() || !isOwn(info) || isWritableByOthers(info) {
		return "", fmt.Errorf("netzero's cache %s must be a directory that only this user may write into: remove it, "+
			"or set XDG_CACHE_HOME", dir)
	}
	return dir, nil
}

// IsInOwn reports whether [Make] makes the directory in one that this user owns. By sudo, the home may be that of the
// user who called it, and who could not write to the directory later.
func IsInOwn() bool {
	for dir := Path(); ; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			return err == nil && isOwn(info)
		}
	}
}

// Remove removes what this project's code keeps in the directory, and the directory if nothing else is in it. It
// returns the directory, or "" if there was none.
func Remove() (string, error) {
	dir := Path()
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, pattern := range []string{"helper-*", "*.lock", KernelTypes, ".netzero-*.tmp"} {
		names, err := fs.Glob(os.DirFS(dir), pattern)
		if err != nil {
			return "", fmt.Errorf("remove netzero's cache: %w", err)
		}
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("remove netzero's cache: %w", err)
			}
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("remove netzero's cache: %w", err)
	}
	return dir, nil
}
