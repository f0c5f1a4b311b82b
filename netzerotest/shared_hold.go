package netzerotest

import (
	"errors"
	"io/fs"
	"slices"
	"sync/atomic"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/report"
)

// underMain says that Main runs the tests, and judges shared files when all of them have ended.
var underMain atomic.Bool

// holdShared is hold for a file that tests share: all of it holds for each of them, and none of them alone knows what in it
// nobody needs.
func holdShared[P golden.Policy](r *Recording, d dialect[P], result report.Report, flows []Flow) {
	r.tb.Helper()
	file, err := golden.Read(r.golden)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		var text []byte
		text, err = golden.Format(sharedHeader([]string{r.sharedName()}), d.rules.Generate(flows))
		result.Missing, result.Proposed = true, string(text)
		noticeWidened(r, &result, d, nil, flows)
	case err == nil:
		err = r.config.otherDialect(file)
	}
	if err != nil {
		r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
		return
	}
	if !result.Missing {
		compare(&result, d, file, flows)
		compareBinaries(&result, d, file, flows, r.programs)
		result.Diff = golden.Diff(d.of(file), d.rules.Extend(d.of(file), flows))
		d.noticeRefused(&result, d.of(file), flows)
		noticeWidened(r, &result, d, d.of(file), flows)
	}
	if r.tb.Failed() {
		result.Accept = ""
		result.Notices = append(result.Notices, failedBefore(r.tb))
		r.tb.Errorf("%s", result)
		return
	}
	if r.env.update {
		updateShared(r, d, result, flows)
		return
	}
	result.Strict = false // no single test knows
	if !result.Failed() {
		if err := r.shared.end(r.tb, r.sharedName(), part{d.scope, flows}); err != nil {
			r.tb.Errorf("netzero: %s: %v", r.tb.Name(), err)
			return
		}
		if !underMain.Load() {
			kept, _ := existing(listedIn(file), nil)
			result.Unused = r.shared.unused(file, kept)
			result.Strict = r.shared.strict
		}
	}
	if result.Failed() {
		r.shared.tellOnce(&result, flows)
		r.tb.Errorf("%s", result)
	} else if notes := result.Notes(); notes != "" {
		r.tb.Logf("%s", notes)
	}
}

// updateShared adds to the file what the test needs. When the last of the tests that share it has ended, and Main does not,
// it drops what none of them needed.
func updateShared[P golden.Policy](r *Recording, d dialect[P], result report.Report, flows []Flow) {
	r.tb.Helper()
	err := r.shared.end(r.tb, r.sharedName(), part{d.scope, flows})
	changed := false
	var refused []string
	if err == nil {
		changed, err = golden.Update(r.golden, func(file *golden.File) ([]byte, error) {
			kept, _ := existing(listedIn(file), nil)
			header := sharedHeader(append(slices.Clone(kept), r.sharedName()))
			if file == nil {
				return golden.Format(header, d.rules.Generate(flows))
			}
			if err := r.config.otherDialect(file); err != nil {
				return nil, err
			}
			refused = d.refused(d.rules.Extend(d.of(file), flows), flows)
			if all, ok := r.shared.whole(header.Tests); ok && !underMain.Load() {
				return prune(d.with(all.scope), file, header, all.flows)
			}
			return d.rewrite(file, header, d.rules.Extend(d.of(file), flows))
		})
	}
	r.tellUpdate(result, changed, refused, err)
}

// prune returns the text of a shared file that holds what all of its tests need, and nothing else.
func prune[P golden.Policy](d dialect[P], file *golden.File, header golden.Header, flows []Flow) ([]byte, error) {
	return d.rewrite(file, header, d.rules.Merge(d.of(file), flows))
}

// unused lists what in the file none of the tests that share it needed. Nobody knows before all of those that it lists,
// and that exist, have ended.
func (s *sharing) unused(file *golden.File, listed []string) []string {
	all, ok := s.whole(listed)
	if !ok {
		return nil
	}
	if s.cilium {
		return unusedOf(ciliums(all.scope), file, all.flows)
	}
	return unusedOf(kubernetes(all.scope), file, all.flows)
}

func unusedOf[P golden.Policy](d dialect[P], file *golden.File, flows []Flow) []string {
	return d.rules.Unused(d.of(file), flows)
}
