package netzerotest

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
)

// judgeShared tells or, with -update, drops what no test needed in the files that tests of this process shared, after a run
// in which none failed. It returns the exit code.
func judgeShared(env environment, names []string) int {
	var all []*sharing
	sharings.Range(func(_, s any) bool {
		all = append(all, s.(*sharing))
		return true
	})
	slices.SortFunc(all, func(a, b *sharing) int { return cmp.Compare(a.path, b.path) })
	code := 0
	for _, s := range all {
		judge := s.judge
		if env.update {
			judge = s.prune
		}
		if err := judge(names); err != nil {
			fmt.Fprintf(os.Stderr, "netzero: %v\n", err)
			code = 1
		}
	}
	return code
}

// judge tells what in the file no test needed.
func (s *sharing) judge(names []string) error {
	file, err := golden.Read(s.path)
	if err != nil {
		return err
	}
	kept, gone := existing(listedIn(file), names)
	if n := len(gone); n == 1 {
		fmt.Fprintf(os.Stderr, "netzero: %s lists a test that no longer exists: %s; to drop it: %s\n", relative(s.path), gone[0], goTestAll())
	} else if n > 1 {
		fmt.Fprintf(os.Stderr, "netzero: %s lists %d tests that no longer exist: %s; to drop them: %s\n", relative(s.path), n, strings.Join(gone, ", "), goTestAll())
	}
	unused := s.unused(file, kept)
	for _, u := range unused {
		fmt.Fprintf(os.Stderr, "netzero: %s: unused by all tests that share it: %s\n", relative(s.path), u)
	}
	if len(unused) > 0 && s.strict {
		return fmt.Errorf("%s: unused rules, which Strict forbids: %d; to drop them: %s", relative(s.path), len(unused), goTestAll())
	}
	return nil
}

// prune drops what no test needed, and the names of tests that are no more.
func (s *sharing) prune(names []string) error {
	changed, err := golden.Update(s.path, func(file *golden.File) ([]byte, error) {
		kept, _ := existing(listedIn(file), names)
		all, ok := s.whole(kept)
		switch {
		case !ok:
			return nil, nil
		case s.cilium:
			return prune(ciliums(all.scope), file, sharedHeader(kept), all.flows)
		}
		return prune(kubernetes(all.scope), file, sharedHeader(kept), all.flows)
	})
	if changed {
		fmt.Fprintf(os.Stderr, "netzero: wrote %s: what none of its tests needs is gone\n", relative(s.path))
	}
	return err
}
