package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// cacheDir returns the directory of this user for what netzero builds, and makes it.
func cacheDir() (string, error) {
	dir := cachePath()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make netzero's cache: %w", err)
	}
	return dir, nil
}

func cachePath() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return filepath.Join(os.TempDir(), fmt.Sprintf("netzero-%d", os.Getuid())) // no home directory
	}
	return filepath.Join(dir, "netzero")
}

// RemoveCache removes this user's cache of helpers, and returns its directory, or nothing if there was none.
func RemoveCache() (string, error) {
	dir := cachePath()
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, pattern := range []string{"helper-*", "*.lock"} {
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
