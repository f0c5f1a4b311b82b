package command

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/merge"
)

var updateCommand = subcommand{
	name:    "update",
	args:    "[arguments of go test]",
	summary: "Updates golden files, and removes from files that packages share what no test used.",
	help: `It runs "netzero test" with these arguments and NETZERO_UPDATE=1. Then it removes unused
rules from each golden file that tests of several packages share, if all tests that the file
lists have passed and recorded completely. Otherwise it names those that have not, and keeps
the rules.

Exit status: that of go test; 1 if a file cannot be updated.`,
	run: runUpdate,
}

func runUpdate(c *call) (status int) {
	if c.wantsHelp() {
		c.usage()
		return statusOK
	}
	dir, err := os.MkdirTemp("", "netzero-recordings-")
	if err != nil {
		return c.refuse(statusFailed, err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			status = c.refuse(statusFailed, err)
		}
	}()
	// Packages without netzerotest reject the flag -update.
	if status := c.goTest("NETZERO_UPDATE=1", "NETZERO_RECORDINGS="+dir); status != statusOK {
		c.note("the tests have not passed: no rule is removed from files that packages share")
		return status
	}
	if err := c.pruneShared(dir); err != nil {
		return c.refuse(statusFailed, err)
	}
	return statusOK
}

// pruneShared updates the golden files that several packages share, by the recordings in a directory.
func (c *call) pruneShared(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 { // no test recorded
		return err
	}
	sources, err := readRecordings([]string{dir}, hubble.Options{})
	if err != nil {
		return err
	}
	packages, err := packagesOf(sources)
	if err != nil {
		return err
	}
	files := make(map[string][]merge.Source) // by golden file
	for _, s := range sources {
		if p, known := packages[s.File.Package]; known && s.File.Golden != "" {
			path := p.Dir.Join(filepath.FromSlash(s.File.Golden))
			s.Path = merge.TestName(s.File) // the file is removed, and the error is about the test
			files[path] = append(files[path], s)
		}
	}
	known := slices.Collect(maps.Values(packages))
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := c.prune(relativeHere(path), files[path], known); err != nil {
			return err
		}
	}
	return nil
}

// prune removes from a golden file what none of its recordings used, if tests of several packages share the file.
func (c *call) prune(path string, sources []merge.Source, packages []check.Package) error {
	file, err := golden.Read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !isSharedByPackages(file.Header, packages):
		return nil // an update of the package has removed what is unused
	}
	u, err := merge.Unite(sources, merge.Options{Dialect: file.Dialect})
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return updateFile(c, u, path, "", packages...)
}

// isSharedByPackages reports whether no package has all tests that share a file.
func isSharedByPackages(h golden.Header, packages []check.Package) bool {
	return len(h.Tests) > 0 && !slices.ContainsFunc(packages, func(p check.Package) bool {
		return !slices.ContainsFunc(h.Tests, func(test string) bool { return !strings.HasPrefix(test, p.TestName("")) })
	})
}

// packagesOf returns the packages under test of recordings, by import path.
func packagesOf(sources []merge.Source) (map[string]check.Package, error) {
	listed, err := listPackages(".", sources)
	if err != nil {
		return nil, err
	}
	return underTest(listed), nil
}

// underTest returns those of the listed packages whose import path is known, as packages under test.
func underTest(listed map[string]listedPackage) map[string]check.Package {
	packages := make(map[string]check.Package)
	for path, p := range listed {
		if path == "" {
			continue
		}
		packages[path] = check.Package{
			Dir: check.Dir(p.Dir), Path: path, SourceTests: gotest.Source(p.Dir).Functions,
		}
	}
	return packages
}

// relativeHere returns a path relative to the working directory, if it lies below it.
func relativeHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	return check.Dir(here).Relative(path)
}
