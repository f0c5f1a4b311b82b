// Package doctor reports whether this machine can record, what is missing, and the command that fixes it.
//
// It takes the same steps as a recording and undoes them, so that no answer is a guess. It skips the steps that build
// on a failed one. It loads the programs even without a cgroup to attach them to, so that one answer names everything
// that is missing.
package doctor

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/internal/ways"
)

// The statuses of a check.
const (
	OK      = "ok"
	Limited = "limited" // recorded, with less detail than on other machines
	Failed  = "failed"
	Skipped = "skipped" // because an earlier one failed
)

// The checks after those of the steps.
const (
	Recording   = "a recording" // of a connection
	Executables = "executables"
	Parallel    = "parallel tests"
)

// Check is one line of the answer.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	Advice string `json:"advice,omitempty"` // the fix
}

// Diagnosis is the whole answer.
type Diagnosis struct {
	Records bool    `json:"records"`
	System  string  `json:"system"` // GOOS/GOARCH
	Checks  []Check `json:"checks"`

	// Way is how `netzero exec` records here; empty if it cannot. Obstacles are the ways before it.
	Way       string     `json:"way,omitempty"`
	Obstacles []Obstacle `json:"obstacles,omitempty"`
}

// Obstacle is why a way to record does not work here.
type Obstacle struct {
	Way    string `json:"way"`
	Reason string `json:"reason"`
}

// Diagnose takes the steps to a recording and undoes them.
func Diagnose() Diagnosis {
	d := Diagnosis{System: runtime.GOOS + "/" + runtime.GOARCH}
	proof := newConnection()
	handler := probe.Handler{Handle: proof.handle}
	s, err := session.Open(probe.Sizes{}, handler, func(step session.Step, detail string) {
		d.Checks = append(d.Checks, Check{Name: string(step), Status: OK, Detail: detail})
	})
	if err != nil {
		d.explain(err)
		return d
	}
	named := Check{Name: Executables, Status: OK}
	who, why := s.Executables()
	named.Detail = "names from " + who
	if why != "" {
		named.Status, named.Detail = Limited, fmt.Sprintf("names from %s, only while a process runs: %s", who, why)
	}
	d.Checks = append(d.Checks, proof.check(), named, parallel(s))
	if err := s.Close(); err != nil {
		d.Checks = append(d.Checks, failed("clean-up", err))
		return d
	}
	d.Records = !slices.ContainsFunc(d.Checks, func(c Check) bool { return c.Status == Failed })
	return d
}

// explain adds the failed step and the skipped ones after it.
func (d *Diagnosis) explain(err error) {
	for i, step := range session.Steps[min(len(d.Checks), len(session.Steps)):] {
		var check Check
		switch {
		case i == 0:
			check = failed(string(step), err)
		case step == session.Programs && !errors.Is(err, probe.ErrNotSupported):
			check = Check{Name: string(step), Status: Skipped, Detail: "would load"}
			if err := session.CheckPrograms(); err != nil {
				check = failed(string(step), err)
			}
		default:
			check = Check{Name: string(step), Status: Skipped}
		}
		d.Checks = append(d.Checks, check)
	}
	d.Checks = append(d.Checks, Check{Name: Recording, Status: Skipped},
		Check{Name: Executables, Status: Skipped}, Check{Name: Parallel, Status: Skipped})
}

// parallel reports whether the flows of parallel tests can be separated.
func parallel(s *session.Session) Check {
	goroutines, children := s.AttributionGaps()
	switch {
	case goroutines != "":
		return Check{Name: Parallel, Status: Limited, Detail: "each test gets the flows of all: " + goroutines}
	case children != "":
		return Check{Name: Parallel, Status: Limited, Detail: "each test gets the flows of all child processes: " + children}
	}
	return Check{Name: Parallel, Status: OK, Detail: "separated by goroutine"}
}

func failed(name string, err error) Check {
	check := Check{Name: name, Status: Failed}
	check.Advice = session.Advice(err, ways.Advice("go test "+ways.Exec+" ./...", "."), "go test ./...")
	var at *session.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	check.Detail = err.Error()
	return check
}
