package recorder

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recording"
)

// lossCount is how much the kernel and the DNS readers have lost so far.
type lossCount struct {
	kernel    probe.Loss
	names     uint64 // that were dropped for newer ones
	streams   uint64 // of DNS over TCP with missing segments
	questions uint64 // that were not kept
}

// since returns a [*recording.LossError] with everything that was lost since an earlier count, or nil. It wraps a
// [*probe.LossError] if the kernel lost events.
func (l lossCount) since(earlier lossCount) error {
	var losses []recording.Loss
	var errs []error
	if lost := l.kernel.Minus(earlier.kernel); lost != (probe.Loss{}) {
		errs = append(errs, &probe.LossError{Loss: lost})
		for _, part := range lost.Parts() {
			losses = append(losses, recording.Loss(part))
		}
	}
	const fewerNames = "look up fewer names, or run the tests in several processes (go test -run)"
	if n := l.names - earlier.names; n > 0 {
		errs = append(errs, fmt.Errorf("the recording is incomplete: %d DNS names were dropped for newer ones: at "+
			"most %d are kept for the tests of this process and their containers: %s", n, dns.MaxNames, fewerNames))
		losses = append(losses, recording.Loss{What: "DNS names (dropped for newer ones)", Count: n, Remedy: fewerNames})
	}
	if n := l.questions - earlier.questions; n > 0 {
		errs = append(errs, fmt.Errorf("the recording is incomplete: %d DNS queries could not be kept: %s",
			n, fewerNames))
		losses = append(losses, recording.Loss{What: "DNS queries (not kept)", Count: n, Remedy: fewerNames})
	}
	if n := l.streams - earlier.streams; n > 0 { // segments that were missing then may have arrived since
		const again = "run the test again, with fewer tests in parallel (go test -parallel)"
		errs = append(errs, fmt.Errorf("the recording is incomplete: DNS messages over %d TCP connections could not "+
			"be reassembled: segments were missing, or more than %d connections were in the middle of a message: %s",
			n, dns.MaxStreams, again))
		losses = append(losses, recording.Loss{
			What: "TCP connections with DNS messages (not reassembled)", Count: n, Remedy: again,
		})
	}
	if len(errs) == 0 {
		return nil
	}
	return &recording.LossError{Losses: losses, Err: errors.Join(errs...)}
}

func (r *Recorder) lossCount() (lossCount, error) {
	kernel, err := r.session.Probe.Lost()
	r.mu.Lock()
	defer r.mu.Unlock()
	return lossCount{
		kernel, r.correlation.names.Overflowed(), r.correlation.answerStreams.Dropped(), r.droppedLookups,
	}, err
}
