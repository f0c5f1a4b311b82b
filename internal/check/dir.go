package check

import (
	"path/filepath"

	"github.com/netzero-dev/netzero/golden"
)

// Dir is the directory of the package under test.
type Dir string

// Relative returns a path as the user would type it in the directory: relative, with slashes. A path outside of the
// directory is returned unchanged.
func (d Dir) Relative(path string) string {
	if rel, err := filepath.Rel(string(d), path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

// Join returns the path of a file that the user names relative to the directory. An absolute path is returned
// unchanged.
func (d Dir) Join(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(string(d), path)
}

// Golden returns the golden file that an option names, or the default one of a test if the option is empty.
func (d Dir) Golden(option, test string) (string, error) {
	if option == "" {
		return golden.Path(string(d), test)
	}
	return d.Join(option), nil
}

// goldens is the directory of the default golden files.
func (d Dir) goldens() string { return filepath.Join(string(d), "testdata", "netzero") }

// hasTests reports whether the directory has test files. It has none if the test binary runs elsewhere.
func (d Dir) hasTests() bool {
	tests, err := filepath.Glob(filepath.Join(string(d), "*_test.go"))
	return err != nil || len(tests) > 0
}

// slash returns a path relative to the directory, with slashes. It may begin with "..".
func (d Dir) slash(path string) string {
	if rel, err := filepath.Rel(string(d), path); err == nil {
		return filepath.ToSlash(rel)
	}
	return filepath.ToSlash(path)
}
