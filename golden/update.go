package golden

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Update writes the text that change returns to path, and reports whether it differs from the old one. old is the
// current file, or nil if there is none; a nil text changes nothing. No other Update of a file in that directory runs
// meanwhile, in this process or another, so that tests and packages that run at the same time may share a file.
// Otherwise it behaves like [Read] and [Write].
func Update(path string, change func(old *File) ([]byte, error)) (changed bool, err error) {
	place, err := follow(path)
	if err != nil {
		return false, fmt.Errorf("update golden %s: %w", path, err)
	}
	user, err := sudoUser()
	var made []string
	if err == nil {
		made, err = makeDirectories(filepath.Dir(place), user)
	}
	defer func() {
		for _, dir := range made {
			if !changed {
				os.Remove(dir) // only if it is empty still
			}
		}
	}()
	var unlock func()
	if err == nil {
		unlock, err = lock(filepath.Dir(place))
	}
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
	err = put(path, text, func(string) (func(), error) { return func() {}, nil }) // it is locked
	return err == nil, err
}
