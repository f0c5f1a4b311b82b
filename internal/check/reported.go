package check

import (
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// reportOnce marks the parts of a test's report that another test of the same file has reported. Each of these tests
// fails, and the first one gives the reason.
func (s *Shared) reportOnce(result *report.Report, flows []flow.Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reported == nil {
		s.reported = make(map[string]string)
	}
	reportedBy := func(key string) string {
		if by, again := s.reported[key]; again && by != result.Test {
			return by
		}
		s.reported[key] = result.Test
		return ""
	}
	isNew := len(result.Denied) == 0 // the diff may show another change
	for i := range result.Denied {
		d := &result.Denied[i]
		d.Told = reportedBy(flowKey(d.Flow) + "\x00" + d.Policy + "\x00" + d.Reason)
		isNew = isNew || d.Told == ""
	}
	for i := range result.Binaries {
		b := &result.Binaries[i]
		b.Told = reportedBy(flowKey(b.Flow) + "\x00" + b.Reason)
	}
	if !isNew {
		result.Diff = ""
	}
	if !result.Missing {
		return
	}
	all := true // other tests have proposed every change of this one
	for _, f := range flow.Fold(flows) {
		by := reportedBy("proposed\x00" + flowKey(f))
		all = all && by != ""
		result.MissingTold = by
	}
	if !all {
		result.MissingTold = ""
	}
}

func flowKey(f flow.Flow) string { return f.Source.String() + " -> " + f.Target() }
