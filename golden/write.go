package golden

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/netzero-dev/netzero/internal/atomicfile"
)

const (
	fileMode      = 0o644
	directoryMode = 0o755
)

// Write writes the text to path, or leaves everything unchanged.
//
// It creates missing directories. The text goes into a temporary file in the same directory, which then replaces the
// old file and keeps its mode (0644 for a new file): a reader sees the old or the new text, never a mix. A symbolic
// link is followed and stays. A file that already holds the text is not touched. Files that root creates under sudo
// belong to the user who called sudo (SUDO_UID, SUDO_GID). Write waits for an [Update] of a file in that directory, and
// removes the temporary files of writers that were killed.
func Write(path string, text []byte) error {
	return writeFile(path, text, lock)
}

// writeFile is Write with a lock for the directory. It holds the lock while there is a temporary file in it.
func writeFile(path string, text []byte, lock func(dir string) (unlock func(), err error)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write golden %s: %w", path, err)
		}
	}()
	resolved, err := atomicfile.Resolve(path)
	if err != nil {
		return err
	}
	old, err := os.Lstat(resolved)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return err
	case !old.Mode().IsRegular():
		return errors.New("not a regular file")
	case old.Size() == int64(len(text)):
		if current, err := os.ReadFile(resolved); err == nil && bytes.Equal(current, text) {
			return nil
		}
	}
	user, err := sudoUser()
	if err != nil {
		return err
	}
	created, err := makeDirectories(filepath.Dir(resolved), user)
	if err == nil {
		var unlock func()
		if unlock, err = lock(filepath.Dir(resolved)); err == nil {
			err = replace(resolved, text, old, user)
			unlock()
		}
	}
	if err != nil {
		for _, dir := range created {
			os.Remove(dir) // only if it is empty still
		}
	}
	return err
}

// makeDirectories creates dir and its missing parents. It returns the created ones, deepest first, on failure too.
func makeDirectories(dir string, user *owner) (created []string, err error) {
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err == nil && !info.IsDir() {
			return nil, fmt.Errorf("%s is not a directory", d)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		missing = append(missing, d)
		if filepath.Dir(d) == d {
			break
		}
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], directoryMode); errors.Is(err, fs.ErrExist) {
			continue // another test was faster
		} else if err != nil {
			return created, err
		}
		created = append([]string{missing[i]}, created...)
		if user != nil {
			if err := os.Chown(missing[i], user.uid, user.gid); err != nil {
				return created, err
			}
		}
	}
	return created, nil
}

// replace replaces a file by one with the text. old is nil for a new file.
func replace(path string, text []byte, old fs.FileInfo, user *owner) error {
	mode := fs.FileMode(fileMode)
	if old != nil {
		mode = old.Mode().Perm()
		user = keepOwner(old, user)
	}
	err := atomicfile.Write(path, text, func(file *os.File) error {
		if user != nil {
			if err := file.Chown(user.uid, user.gid); err != nil {
				return err
			}
		}
		if err := file.Chmod(mode); err != nil { // the umask, which a test may have set, does not apply
			return err
		}
		return file.Sync()
	})
	if err == nil {
		syncDirectory(filepath.Dir(path))
	}
	return err
}

// removeTemporary removes temporary files that killed writers left in a directory. The caller has locked the directory,
// so there is no active writer. A file that cannot be removed does no harm.
func removeTemporary(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if ours, _ := filepath.Match(atomicfile.Pattern, e.Name()); ours && e.Type().IsRegular() {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// syncDirectory makes a rename last. The text is in place whether or not this succeeds, and not every file system can.
func syncDirectory(dir string) {
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
}

// owner is the intended owner of a file.
type owner struct{ uid, gid int }
