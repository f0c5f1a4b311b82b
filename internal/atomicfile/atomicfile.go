// Package atomicfile writes files in one step: a reader sees the old text or the new one, never a mix. After an error
// the old one stays.
//
// It does not create directories, and takes no locks. A process that is killed may leave a temporary file: see
// [Pattern].
package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Pattern matches the names of temporary files, for os.CreateTemp and filepath.Match. They are in the directory of the
// file that they are to replace.
const Pattern = ".netzero-*.tmp"

// maxLinks is how many symbolic links Linux follows at most.
const maxLinks = 40

// Write writes a text to a file. prepare gets the new file before it replaces the old one, to set its mode and its
// owner; if prepare is nil, the mode is 0600. A symbolic link is followed and stays. Devices and pipes, such as
// /dev/stdout, are written to, because they hold no old text.
//
// The error names the path, not a temporary file. It is an [*fs.PathError] if the file cannot be created or written.
func Write(path string, text []byte, prepare func(*os.File) error) error {
	switch info, err := os.Stat(path); {
	case err != nil: // a new file, or a reason for which it cannot be created either
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return writeThrough(path, text)
	}
	resolved, err := Resolve(path)
	if err != nil {
		return err
	}
	return replace(resolved, text, prepare)
}

// writeThrough writes a text to a device or a pipe.
func writeThrough(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// replace replaces a file, which need not exist. The path is no symbolic link.
func replace(path string, text []byte, prepare func(*os.File) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), Pattern)
	if err != nil {
		return named(path, err)
	}
	defer func() {
		if err != nil {
			file.Close()
			err = errors.Join(named(path, err), os.Remove(file.Name()))
		}
	}()
	if _, err := file.Write(text); err != nil {
		return err
	}
	if prepare != nil {
		if err := prepare(file); err != nil {
			return err
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// named returns an error about a temporary file as one about the file that it is to replace.
func named(path string, err error) error {
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		return &fs.PathError{Op: of.Op, Path: path, Err: of.Err}
	}
	if of := (*os.LinkError)(nil); errors.As(err, &of) {
		return &fs.PathError{Op: of.Op, Path: path, Err: of.Err}
	}
	return err
}

// Resolve returns the file at the end of a path's symbolic links, which need not exist.
func Resolve(path string) (string, error) {
	for range maxLinks {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		link, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(link) {
			// The directory may itself be a link: then ".." leads elsewhere than the text suggests.
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", err
			}
			link = filepath.Join(dir, link)
		}
		path = link
	}
	return "", errors.New("too many symbolic links")
}
