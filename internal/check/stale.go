package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
)

// Use tells how a run used the package's tests and golden files.
type Use interface {
	// HasGolden reports whether a recording had the golden file.
	HasGolden(path string) bool
	// Whole reports whether tests are known to have run completely. Without any tests, it reports on all tests that
	// ended.
	Whole(tests []string) bool
}

// Stale finds the default golden files that no recording used in a run of all tests. With update it removes those that
// NetZero wrote. names are the tests of the package.
func (p Package) Stale(names []string, use Use, goldens *Register, update bool) Summary {
	var sum Summary
	stale, err := staleSearch{p, names, use, goldens}.in(p.Dir.goldens())
	if err != nil {
		sum.fail("look for stale golden files: %v", err)
		return sum
	}
	for _, s := range stale {
		path := p.Dir.Relative(s.path)
		switch {
		case !s.recorded:
			sum.fail("%s is stale: %s; remove it, or move it out of testdata/netzero", path, s.why)
		case !update:
			sum.fail("%s is stale: %s; remove it, or run go test -update", path, s.why)
		default:
			if err := removeGolden(p.Dir.goldens(), s.path); err != nil {
				sum.fail("remove stale golden file: %v", err)
				continue
			}
			sum.print("removed %s: %s", path, s.why)
		}
	}
	return sum
}

// removeGolden removes a golden file and the directories of subtests that become empty.
func removeGolden(dir, path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	for above := filepath.Dir(path); above != dir; above = filepath.Dir(above) {
		if os.Remove(above) != nil {
			break // the directory is not empty
		}
	}
	return nil
}

// A staleGolden is a golden file that no test uses.
type staleGolden struct {
	path, why string
	recorded  bool // NetZero wrote it: it has a header
}

// staleSearch holds the inputs of the search, as in [Package.Stale].
type staleSearch struct {
	Package
	names   []string
	use     Use
	goldens *Register
}

// in returns the golden files below a directory that no recording of a whole run used. A file with a header of NetZero,
// or with policies, is a golden file.
func (s staleSearch) in(dir string) ([]staleGolden, error) {
	var stale []staleGolden
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile, as temporary files are
		}
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".yaml" || s.use.HasGolden(path) {
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
		if why := s.why(path, header, isRecorded); why != "" {
			stale = append(stale, staleGolden{path, why, isRecorded})
		}
		return nil
	})
	return stale, err
}

// why says why a file that no recording used is stale. It returns "" if the file is not stale, or if that is unknown: a
// test in its header was skipped, did not run because it is a benchmark, or belongs to another package.
func (s staleSearch) why(path string, header golden.Header, isRecorded bool) string {
	top, _, _ := strings.Cut(header.Test, "/")
	kept, gone := s.existing(header.Tests, s.names)
	switch {
	case header.Package != "":
		return "no RecordPackage has this file"
	case top != "" && !slices.Contains(s.names, top):
		return "there is no test " + header.Test
	case len(kept) == 0 && len(gone) > 0 && !s.goldens.IsShared(path):
		return "there is no test " + gone[0]
	case !isRecorded && !holdsPolicies(path):
		return ""
	}
	var tests []string // the tests of this package that may use it
	for _, test := range kept {
		name, isOfPackage := strings.CutPrefix(test, s.TestName(""))
		if !isOfPackage {
			return ""
		}
		tests = append(tests, name)
	}
	if header.Test != "" {
		tests = append(tests, header.Test)
	}
	switch {
	case !s.use.Whole(tests):
		return ""
	case len(tests) == 0:
		return "no test has it"
	}
	return "no test has it, not even " + tests[0] + ", which its header names"
}

// holdsPolicies reports whether a file without a header contains policies, and so is a golden file.
func holdsPolicies(path string) bool {
	file, err := golden.Read(path)
	return err == nil && len(file.Policies) > 0
}
