package command

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/merge"
	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
)

// relate adds to results what only all results of a golden file show: the rules that no recording needed, and which
// test is the first to report a fault of the file.
//
// If a test of the file has no complete recording among the results, it may need these rules. Then they do not count as
// unused, and a notice says so. packages are the packages of the results, by import path.
func relate(results []page.Result, packages map[string]listedPackage) {
	known := slices.Collect(maps.Values(underTest(packages)))
	byFile := make(map[string][]int)  // the indexes of results, by the path of the golden file
	faults := make(map[string]string) // the first test that reports a fault, by the path of the golden file
	for i, r := range results {
		path := filepath.Join(packages[r.File.Package].Dir, filepath.FromSlash(r.File.Golden))
		switch first, again := faults[path]; {
		case r.Missing:
		case r.Unusable == "":
			byFile[path] = append(byFile[path], i)
		case again:
			results[i].UnusableReportedBy = first
		default:
			faults[path] = r.Test
		}
	}
	for path, indexes := range byFile { // each changes other results
		var files []recording.File
		for _, i := range indexes {
			files = append(files, results[i].File)
		}
		rules, unknown := unusedRules(path, files, known)
		for n, i := range indexes {
			r := &results[i].Report
			switch {
			case unknown != "":
				r.Notices = append(slices.Clone(r.Notices), recording.Notice{Code: recording.CodeUnusedUnknown, Text: unknown})
			case r.Lost == "":
				r.Unused = rules
				if n > 0 {
					r.UnusedReportedBy = results[indexes[0]].Test
				}
			}
		}
	}
}

// unusedRules returns the rules of a golden file that no recording of the file needed. If a test without a complete
// recording may need them, it says so and returns no rules.
func unusedRules(path string, files []recording.File, packages []check.Package) (rules []string, unknown string) {
	file, err := golden.Read(path)
	if err != nil {
		return nil, "" // the comparison reports it
	}
	var complete []merge.Source
	var missing []string
	for _, f := range files {
		if f.Incomplete != "" || f.Failed {
			missing = append(missing, merge.TestName(f))
			continue
		}
		complete = append(complete, merge.Source{Path: merge.TestName(f), File: f})
	}
	if len(complete) == 0 {
		return nil, ""
	}
	u, err := merge.Unite(complete, merge.Options{Dialect: file.Dialect})
	if err != nil {
		return nil, fmt.Sprintf("unused rules are not known: %v", err)
	}
	rules, without := u.Unused(file, packages...)
	missing = append(missing, without...)
	if len(rules) == 0 || len(missing) == 0 {
		return rules, ""
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	const most = 5
	text := strings.Join(missing[:min(len(missing), most)], ", ")
	if more := len(missing) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return nil, fmt.Sprintf("rules that may be unused: %d; these tests of the golden file have no complete recording "+
		"here: %s", len(rules), text)
}
