package netzerotest

import (
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// program is a binary in the workload that it ran in, by the identity of its endpoint.
type program struct {
	workload flow.Endpoint
	binary   string
}

// opened notes who opened a flow.
func (out *settlement) opened(f Flow) {
	for _, binary := range f.Binaries {
		key := program{f.Source.Identity(), binary}
		if before, known := out.programs[key]; !known || f.First < before.first {
			out.programs[key] = opening{f.Process, f.First}
		}
	}
}

// compareBinaries puts into the report the programs that opened flows which the golden file allows, and that it does not
// list: with the option Binaries they fail the test, else they are notices.
func compareBinaries[P golden.Policy](result *report.Report, d dialect[P], file *golden.File, flows []Flow, programs map[program]opening) {
	committed := d.of(file)
	at := make(map[program]int) // in found
	var found []report.Binary
	evaluate := d.rules.Evaluator(committed)
	for _, f := range flow.Fold(flows) {
		if len(f.Binaries) == 0 || evaluate(f).Outcome != policy.Allowed {
			continue
		}
		for _, binary := range f.Binaries {
			why := d.rules.Unlisted(committed, f, binary)
			if why == "" {
				continue
			}
			key := program{f.Source.Identity(), binary}
			if i, again := at[key]; again {
				found[i].More++
				continue
			}
			at[key] = len(found)
			who, known := programs[key]
			if !known { // the namespace is one that the manifests gave
				key.workload.Namespace = ""
				who = programs[key]
			}
			f.Process = who.process
			found = append(found, report.Binary{Flow: f, Reason: why})
		}
	}
	if d.scope.Binaries {
		result.Binaries = found
		return
	}
	for _, b := range found {
		if notice := b.Notice(); !slices.Contains(result.Notices, notice) {
			result.Notices = append(result.Notices, notice)
		}
	}
}
