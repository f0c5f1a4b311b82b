package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/netzero-dev/netzero/internal/atomicfile"
)

// Update writes the text that change returns to path, and reports whether it differs from the old one. old is the
// current file, or nil if there is none; a nil text changes nothing.
//
//	changed, err := golden.Update(path, func(old *golden.File) ([]byte, error) {
//		if old == nil {
//			return golden.Format(header, policies)
//		}
//		return old.Rewrite(header, policies)
//	})
//
// No other Update of a file in that directory runs meanwhile, in this process or another, so that tests and packages
// that run at the same time may share a file. Otherwise Update behaves like [Read] and [Write]. It returns an error of
// change as it is.
func Update(path string, change func(old *File) ([]byte, error)) (changed bool, err error) {
	unlock, created, err := lockDirectory(path)
	defer func() {
		for _, dir := range created {
			if !changed {
				os.Remove(dir) // only if it is empty still
			}
		}
	}()
	if err != nil {
		return false, fmt.Errorf("update golden %s: %w", path, err)
	}
	defer unlock()
	var before []byte
	old, err := Read(path)
	switch {
	case err == nil:
		before = old.text
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	default:
		return false, err
	}
	text, err := change(old)
	if err != nil || text == nil || old != nil && string(text) == string(before) {
		return false, err
	}
	err = writeFile(path, text, func(string) (func(), error) { return func() {}, nil }) // it is locked
	return err == nil, err
}

// lockDirectory creates and locks the directory of a file, which may be a link. It returns the created directories, on
// failure too.
func lockDirectory(path string) (unlock func(), created []string, err error) {
	resolved, err := atomicfile.Resolve(path)
	if err != nil {
		return nil, nil, err
	}
	user, err := sudoUser()
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Dir(resolved)
	if created, err = makeDirectories(dir, user); err != nil {
		return nil, created, err
	}
	unlock, err = lock(dir)
	return unlock, created, err
}
