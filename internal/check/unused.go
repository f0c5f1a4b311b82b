package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
)

// Summary is the outcome of a check of files after the tests have run.
type Summary struct {
	Lines  []string // for standard error
	Failed bool     // the run fails
}

func (s *Summary) print(format string, args ...any) {
	s.Lines = append(s.Lines, fmt.Sprintf(format, args...))
}

func (s *Summary) fail(format string, args ...any) {
	s.print(format, args...)
	s.Failed = true
}

// Check lists the rules that no test needed in the files that tests share. With update it removes them. It is for the
// end of a run in which no test failed. names are the tests of the package.
func (s *SharedFiles) Check(names []string, update bool) Summary {
	var all []*Shared
	s.byPath.Range(func(_, file any) bool {
		all = append(all, file.(*Shared))
		return true
	})
	slices.SortFunc(all, func(a, b *Shared) int { return cmp.Compare(a.path, b.path) })
	var sum Summary
	for _, file := range all {
		check := file.check
		if update {
			check = file.prune
		}
		if err := check(&sum, names); err != nil {
			sum.fail("%v", err)
		}
	}
	return sum
}

// check lists the rules of the file that no test needed.
func (s *Shared) check(sum *Summary, names []string) error {
	file, err := golden.Read(s.path)
	if err != nil {
		return err
	}
	kept, gone := s.pkg.existing(listedIn(file), names)
	if n := len(gone); n == 1 {
		sum.print("%s lists a test that no longer exists: %s; to drop it: %s", s.relative(), gone[0], s.pkg.Accept)
	} else if n > 1 {
		sum.print("%s lists %d tests that no longer exist: %s; to drop them: %s",
			s.relative(), n, strings.Join(gone, ", "), s.pkg.Accept)
	}
	unused := s.unused(file, kept)
	for _, u := range unused {
		sum.print("%s: unused by all tests that share it: %s", s.relative(), u)
	}
	if len(unused) > 0 && s.isStrict() {
		return fmt.Errorf("%s: unused rules, which Strict forbids: %d; to drop them: %s",
			s.relative(), len(unused), s.pkg.Accept)
	}
	return nil
}

// prune removes the rules that no test needed, and the names of tests that no longer exist.
func (s *Shared) prune(sum *Summary, names []string) error {
	changed, err := golden.Update(s.path, func(file *golden.File) ([]byte, error) {
		kept, _ := s.pkg.existing(listedIn(file), names)
		all, known := s.whole(kept)
		switch {
		case !known:
			return nil, nil
		case s.cilium:
			return prune(ciliums(all.scope), file, s.pkg.sharedHeader(kept), all)
		}
		return prune(kubernetes(all.scope), file, s.pkg.sharedHeader(kept), all)
	})
	if changed {
		sum.print("wrote %s: what none of its tests needs is gone", s.relative())
	}
	return err
}

// prune returns the text of a shared file with only the rules that its tests need.
func prune[P golden.Policy](d dialect[P], file *golden.File, header golden.Header, all part) ([]byte, error) {
	return d.rewrite(file, header, d.rules.Merge(d.of(file), all.flows))
}

// unused returns the rules of the file that none of its tests needed. It returns nothing until all listed tests have
// recorded.
func (s *Shared) unused(file *golden.File, listed []string) []string {
	all, known := s.whole(listed)
	switch {
	case !known:
		return nil
	case s.cilium:
		return unused(ciliums(all.scope), file, all)
	}
	return unused(kubernetes(all.scope), file, all)
}

func unused[P golden.Policy](d dialect[P], file *golden.File, all part) []string {
	return d.rules.Unused(d.of(file), all.flows)
}
