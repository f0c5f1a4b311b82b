package check

import (
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// compareBinaries adds to the report the programs that opened allowed flows and that the golden file does not list.
// With the option Binaries they fail the test. Without it they are notices.
func compareBinaries(result *report.Report, d dialect, file *golden.File, flows []flow.Flow,
	initiators map[recording.Program]recording.Initiator) {
	committed := file.Policies
	at := make(map[recording.Program]int) // the index in found
	var found []report.Binary
	evaluate := d.Evaluator(committed)
	for _, f := range flow.Fold(flows) {
		if len(f.Binaries) == 0 || evaluate(f).Outcome != policy.Allowed {
			continue
		}
		for _, binary := range f.Binaries {
			why := d.Unlisted(committed, f, binary)
			if why == "" {
				continue
			}
			key := recording.Program{Workload: f.Source.Identity(), Binary: binary}
			if i, again := at[key]; again {
				found[i].More++
				continue
			}
			at[key] = len(found)
			who, known := initiators[key]
			if !known { // the manifests provided the namespace
				key.Workload.Namespace = ""
				who = initiators[key]
			}
			f.Process = who.Process
			found = append(found, report.Binary{Flow: f, Reason: why})
		}
	}
	if d.scope.Binaries {
		result.Binaries = found
		return
	}
	for _, b := range found {
		notice := recording.Notice{Code: recording.CodeUnlistedProgram, Text: b.Notice()}
		if !slices.Contains(result.Notices, notice) {
			result.Notices = append(result.Notices, notice)
		}
	}
}
