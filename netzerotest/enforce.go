package netzerotest

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/recorder"
)

// enforcement returns what the golden file allows the workloads of the recording, or nil if nothing is refused.
func (r *Recording) enforcement() (*recorder.Enforcement, error) {
	if !r.config.enforce && !r.settings.Enforce || r.settings.Update || r.settings.Off {
		return nil, nil
	}
	reach, err := check.ReadReach(r.checkOptions(), r.config.labels)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !r.settings.InCI:
		return nil, nil // the test records its first policy
	case errors.Is(err, fs.ErrNotExist):
		return nothingAllowed(r.config.placement.Ignored.Driver), nil
	case err != nil:
		return nil, fmt.Errorf("Enforce: %w", err)
	}
	e := &recorder.Enforcement{Container: reach.Container}
	if e.Own, err = reach.Test(); err != nil {
		return nil, fmt.Errorf("Enforce: %w", err)
	}
	for _, o := range reach.Objects() {
		e.Names = append(e.Names, recorder.WorkloadName{DNS: o.Name, Workload: o.Name, Namespace: o.Namespace})
	}
	return e, nil
}

// nothingAllowed returns the enforcement without a golden file. A driver is no workload, so nothing is refused to it.
func nothingAllowed(driver bool) *recorder.Enforcement {
	return &recorder.Enforcement{
		Own:       enforce.Table{Unrestricted: driver},
		Container: func(string, string) (enforce.Table, error) { return enforce.Table{}, nil },
	}
}
