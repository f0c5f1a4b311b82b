package recorder

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
)

// lossCount is how much the kernel and the DNS readers have lost so far.
type lossCount struct {
	kernel    probe.Loss
	names     uint64 // that were dropped for newer ones
	streams   uint64 // of DNS over TCP with missing segments
	questions uint64 // that were not kept
}

// since returns an error that names everything that was lost since an earlier count, with the remedies.
func (l lossCount) since(earlier lossCount) error {
	var errs []error
	if lost := l.kernel.Minus(earlier.kernel); lost != (probe.Loss{}) {
		errs = append(errs, &probe.LossError{Loss: lost})
	}
	if n := l.names - earlier.names; n > 0 {
		errs = append(errs, fmt.Errorf("the recording is incomplete: %d names gave way to newer ones: %d are kept, of all that DNS answered to the tests of this process and their containers: "+
			"look fewer up, or run the tests in several processes (go test -run)", n, dns.MaxNames))
	}
	if n := l.questions - earlier.questions; n > 0 {
		errs = append(errs, fmt.Errorf("the recording is incomplete: %d DNS questions could not be kept: "+
			"look fewer names up, or run the tests in several processes (go test -run)", n))
	}
	if n := l.streams - earlier.streams; n > 0 { // segments that were missing then may have arrived since
		errs = append(errs, fmt.Errorf("the recording is incomplete: DNS questions or answers over %d TCP connections could not be put together: "+
			"segments were missing, or more than %d connections were in the middle of an answer: run the test again, with fewer at once (go test -parallel)", n, dns.MaxStreams))
	}
	return errors.Join(errs...)
}

func (r *Recorder) lossCount() (lossCount, error) {
	kernel, err := r.session.Probe.Lost()
	r.mu.Lock()
	defer r.mu.Unlock()
	return lossCount{kernel, r.names.Overflowed(), r.answerStreams.Dropped(), r.droppedLookups}, err
}
