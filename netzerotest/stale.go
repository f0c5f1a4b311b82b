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
func judgeStale(env environment, names []string) int {
	dir := filepath.Join(packageDir, "testdata", "netzero")
	stale, err := staleGoldens(dir, names)
	if err != nil {
		fmt.Fprintf(os.Stderr, "netzero: look for stale golden files: %v\n", err)
		return 1
	}
	code := 0
	for _, s := range stale {
		if env.update {
			if err := removeGolden(dir, s.path); err != nil {
				fmt.Fprintf(os.Stderr, "netzero: remove stale golden file: %v\n", err)
				code = 1
				continue
			}
			fmt.Fprintf(os.Stderr, "netzero: removed %s: %s\n", relative(s.path), s.why)
			continue
		}
		fmt.Fprintf(os.Stderr, "netzero: %s is stale: %s; remove it, or run go test -update\n", relative(s.path), s.why)
		code = 1
	}
	return code
}

// removeGolden removes a golden file, and the directories of subtests that are empty then.
func removeGolden(dir, path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	for above := filepath.Dir(path); above != dir; above = filepath.Dir(above) {
		if os.Remove(above) != nil {
			break // somebody else's file is there
		}
	}
	return nil
}

type staleGolden struct{ path, why string }

// staleGoldens returns the golden files below dir whose header names a test of which the first element is not among
// the names, or only tests that share it and of which none is, or the package where its recording has another file.
// Whether a subtest still exists only its parent knows. What else stands in a file does not matter: it may be no golden
// file at all.
func staleGoldens(dir string, names []string) ([]staleGolden, error) {
	var stale []staleGolden
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile, as temporary files go
		}
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".yaml" {
			return err
		}
		header, err := golden.ReadHeader(path)
		var invalid *golden.InvalidError
		if errors.As(err, &invalid) {
			return nil // too large for a golden file
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(header.Test, "/")
		kept, gone := existing(header.Tests, names)
		switch {
		case header.Package != "":
			if p := recordedPackage.Load(); p == nil || p.recording.golden != path {
				stale = append(stale, staleGolden{path, "no RecordPackage has this file"})
			}
		case top != "" && !slices.Contains(names, top):
			stale = append(stale, staleGolden{path, "there is no test " + header.Test})
		case len(kept) == 0 && len(gone) > 0 && !isShared(path):
			stale = append(stale, staleGolden{path, "there is no test " + gone[0]})
		}
		return nil
	})
	return stale, err
}

// relative returns a path as the user would type it in the package's directory.
func relative(path string) string {
	if rel, err := filepath.Rel(packageDir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}
