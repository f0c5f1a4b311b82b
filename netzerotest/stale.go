package netzerotest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/golden"
)

// testNames returns the names of the tests, benchmarks, fuzz tests and examples that the binary holds, or nil where
// package testing does not let us see them.
func testNames(m *testing.M) []string {
	var names []string
	for _, field := range []string{"tests", "benchmarks", "fuzzTargets", "examples"} {
		list := reflect.ValueOf(m).Elem().FieldByName(field)
		if list.Kind() != reflect.Slice {
			return nil
		}
		for i := range list.Len() {
			name := list.Index(i).FieldByName("Name")
			if name.Kind() != reflect.String {
				return nil
			}
			names = append(names, name.String())
		}
	}
	return names
}

// judgeStale reports the golden files whose test is not among the names, or removes them with -update, and returns the
// exit code.
func judgeStale(names []string) int {
	if len(names) == 0 {
		return 0
	}
	dir := filepath.Join(packageDir, "testdata", "netzero")
	stale, err := staleGoldens(dir, names)
	if err != nil {
		fmt.Fprintf(os.Stderr, "netzero: look for stale golden files: %v\n", err)
		return 1
	}
	env, err := readEnvironment()
	if err != nil {
		fmt.Fprintf(os.Stderr, "netzero: %v\n", err)
		return 1
	}
	code := 0
	for _, s := range stale {
		if env.update {
			if err := os.Remove(s.path); err != nil {
				fmt.Fprintf(os.Stderr, "netzero: remove stale golden file: %v\n", err)
				code = 1
				continue
			}
			fmt.Fprintf(os.Stderr, "netzero: removed %s: there is no test %s\n", relative(s.path), s.test)
			continue
		}
		fmt.Fprintf(os.Stderr, "netzero: %s is stale: there is no test %s; remove it, or run go test -update\n", relative(s.path), s.test)
		code = 1
	}
	return code
}

type staleGolden struct{ path, test string }

// staleGoldens returns the golden files below dir whose header names a test of which the first element is not among
// the names. Whether a subtest still exists only its parent knows.
func staleGoldens(dir string, names []string) ([]staleGolden, error) {
	var stale []staleGolden
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		f, err := golden.Read(path)
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(f.Header.Test, "/")
		if top != "" && !slices.Contains(names, top) {
			stale = append(stale, staleGolden{path, f.Header.Test})
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return stale, err
}

// relative returns a path as the user would type it in the package's directory.
func relative(path string) string {
	if rel, err := filepath.Rel(packageDir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}
