package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// tellOnce marks in a test's report what another test that shares the file has reported: each of them fails, and the first
// one says why.
func (s *sharing) tellOnce(result *report.Report, flows []Flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil {
		s.told = make(map[string]string)
	}
	told := func(key string) string {
		if by, again := s.told[key]; again && by != result.Test {
			return by
		}
		s.told[key] = result.Test
		return ""
	}
	news := len(result.Denied) == 0 // a difference may be of something else
	for i := range result.Denied {
		d := &result.Denied[i]
		d.Told = told(flowKey(d.Flow) + "\x00" + d.Policy + "\x00" + d.Reason)
		news = news || d.Told == ""
	}
	for i := range result.Binaries {
		b := &result.Binaries[i]
		b.Told = told(flowKey(b.Flow) + "\x00" + b.Reason)
	}
	if !news {
		result.Diff = ""
	}
	if !result.Missing {
		return
	}
	whole := true // all that this test would write was proposed by others
	for _, f := range flow.Fold(flows) {
		by := told("proposed\x00" + flowKey(f))
		whole = whole && by != ""
		result.MissingTold = by
	}
	if !whole {
		result.MissingTold = ""
	}
}

func flowKey(f Flow) string { return f.Source.String() + " -> " + f.Target() }

// isShared reports whether a test of this process has shared the golden file.
func isShared(path string) bool {
	_, shared := sharings.Load(path)
	return shared
}
