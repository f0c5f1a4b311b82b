package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
)

// sharedByOthers returns an error if tests share a file that is to be the file of one test.
func (o Options) sharedByOthers(file *golden.File) error {
	tests := listedIn(file)
	if o.File.isShared() || len(tests) == 0 {
		return nil
	}
	return fmt.Errorf("%s is shared by %s: give this test the option Shared too, or a file of its own",
		o.Package.Dir.Relative(file.Path), tests[0]+more(len(tests)-1))
}

// header returns the header of the golden file after an update. The file is nil if there is none yet.
func (o Options) header(file *golden.File) golden.Header {
	if !o.File.isShared() {
		return o.Header
	}
	kept, _ := o.Package.existing(listedIn(file), nil)
	return o.Package.sharedHeader(append(slices.Clone(kept), o.Package.TestName(o.Test)))
}

// sharedHeader returns the header of a file that these tests share.
func (p Package) sharedHeader(tests []string) golden.Header {
	tests = slices.Clone(tests)
	slices.Sort(tests)
	return golden.Header{Tests: slices.Compact(tests), Command: p.Accept}
}

// listedIn returns the tests that share a file, according to its header. The file may be nil.
func listedIn(file *golden.File) []string {
	if file == nil {
		return nil
	}
	return file.Header.Tests
}

// existing divides the tests that share a file into those that exist and those that no longer do. A test no longer
// exists if it belongs to this package and is neither in names nor in the source files. The source counts because other
// builds may have tests that this binary lacks.
func (p Package) existing(listed, names []string) (kept, gone []string) {
	if len(listed) == 0 {
		return nil, nil
	}
	var inSource map[string]bool
	if p.SourceTests != nil {
		inSource = p.SourceTests()
	}
	known := len(names) > 0 || len(inSource) > 0
	for _, test := range listed {
		name, isOfPackage := strings.CutPrefix(test, p.TestName(""))
		top, _, _ := strings.Cut(name, "/")
		if isOfPackage && known && !slices.Contains(names, top) && !inSource[top] {
			gone = append(gone, test)
			continue
		}
		kept = append(kept, test)
	}
	return kept, gone
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}
