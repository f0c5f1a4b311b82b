package check

import (
	"fmt"
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
func (r *Register) Check(names []string, update bool) Summary {
	var sum Summary
	for _, file := range r.shared() {
		file.close()
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
func (f *GoldenFile) check(sum *Summary, names []string) error {
	file, err := golden.Read(f.path)
	if err != nil {
		return err
	}
	_, gone := f.pkg.existing(listedIn(file), names)
	if n := len(gone); n == 1 {
		sum.print("%s lists a test that no longer exists: %s; to drop it: %s", f.relative(), gone[0], f.pkg.Accept)
	} else if n > 1 {
		sum.print("%s lists %d tests that no longer exist: %s; to drop them: %s",
			f.relative(), n, strings.Join(gone, ", "), f.pkg.Accept)
	}
	unused := f.unused(file, names)
	for _, u := range unused {
		sum.print("%s: unused by all tests that share it: %s", f.relative(), u)
	}
	if len(unused) > 0 && f.isStrict() {
		return fmt.Errorf("%s: unused rules, which Strict forbids: %d; to drop them: %s",
			f.relative(), len(unused), f.pkg.Accept)
	}
	return nil
}

// prune removes the rules that no test needed, and the names of tests that no longer exist.
func (f *GoldenFile) prune(sum *Summary, names []string) error {
	changed, err := golden.Update(f.path, func(file *golden.File) ([]byte, error) {
		all, complete := f.recorded(listedIn(file), names)
		d, is := f.dialectOf(file, all.scope)
		if !complete || !is {
			return nil, nil
		}
		kept, _ := f.pkg.existing(listedIn(file), names)
		policies := d.Merge(file.Policies, all.flows)
		return file.Rewrite(f.pkg.sharedHeader(kept), policies)
	})
	if changed {
		sum.print("wrote %s: removed what none of its tests needs", f.relative())
	}
	return err
}
