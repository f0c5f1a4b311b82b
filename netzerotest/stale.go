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

// judgeStale reports the stale golden files, or removes them with -update, and returns the exit code. What has no
// header people wrote: it is for them to remove.
func judgeStale(env environment, names []string) int {
	dir := filepath.Join(packageDir, "testdata", "netzero")
	stale, err := staleGoldens(dir, names, used)
	if err != nil {
		fmt.Fprintf(os.Stderr, "netzero: look for stale golden files: %v\n", err)
		return 1
	}
	code := 0
	for _, s := range stale {
		switch {
		case !s.recorded:
			fmt.Fprintf(os.Stderr, "netzero: %s is stale: %s; remove it, or move it out of testdata/netzero\n", relative(s.path), s.why)
			code = 1
		case !env.update:
			fmt.Fprintf(os.Stderr, "netzero: %s is stale: %s; remove it, or run go test -update\n", relative(s.path), s.why)
			code = 1
		default:
			if err := removeGolden(dir, s.path); err != nil {
				fmt.Fprintf(os.Stderr, "netzero: remove stale golden file: %v\n", err)
				code = 1
				continue
			}
			fmt.Fprintf(os.Stderr, "netzero: removed %s: %s\n", relative(s.path), s.why)
		}
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

// A staleGolden is a golden file that no test has.
type staleGolden struct {
	path, why string
	recorded  bool // it has a header of ours
}

// staleGoldens returns the golden files below dir that no recording of a whole run had. A file that has a header of
// ours, or holds policies, is one.
func staleGoldens(dir string, names []string, use *packageUse) ([]staleGolden, error) {
	var stale []staleGolden
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone meanwhile, as temporary files go
		}
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".yaml" || use.hasGolden(path) {
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
		isRecorded := header.Test != "" || header.Package != "" || len(header.Tests) > 0
		if why := whyStale(path, header, isRecorded, names, use); why != "" {
			stale = append(stale, staleGolden{path, why, isRecorded})
		}
		return nil
	})
	return stale, err
}

// whyStale says why a file that no recording had is stale, or returns "" where it is none, or where nobody knows: a
// test that its header names was skipped, did not run as benchmarks do, or is of another package.
func whyStale(path string, header golden.Header, isRecorded bool, names []string, use *packageUse) string {
	top, _, _ := strings.Cut(header.Test, "/")
	kept, gone := existing(header.Tests, names)
	switch {
	case header.Package != "":
		return "no RecordPackage has this file"
	case top != "" && !slices.Contains(names, top):
		return "there is no test " + header.Test
	case len(kept) == 0 && len(gone) > 0 && !isShared(path):
		return "there is no test " + gone[0]
	case !isRecorded && !holdsPolicies(path):
		return ""
	}
	var tests []string // of this package, that may have it
	for _, test := range kept {
		own, isOwn := strings.CutPrefix(test, packagePath()+".")
		if !isOwn {
			return ""
		}
		tests = append(tests, own)
	}
	if header.Test != "" {
		tests = append(tests, header.Test)
	}
	switch {
	case !use.whole(tests):
		return ""
	case len(tests) == 0:
		return "no test has it"
	}
	return "no test has it, not even " + tests[0] + ", which its header names"
}

// holdsPolicies reports whether a file without a header is a golden file all the same.
func holdsPolicies(path string) bool {
	file, err := golden.Read(path)
	return err == nil && len(file.Policies)+len(file.Cilium) > 0
}

// relative returns a path as the user would type it in the package's directory.
func relative(path string) string {
	if rel, err := filepath.Rel(packageDir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}
