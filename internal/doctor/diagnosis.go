// Package doctor tells what can be recorded on this machine, what is missing, and the command that mends it.
//
// It takes the very steps that a recording takes, and undoes them. It refuses to guess: what it says of a step is what came
// of taking it. Where a step failed, those that build on it are skipped; the programs are still loaded where there is no
// cgroup to attach them to, so that one answer names all that is missing.
package doctor

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
)

// The states of a check.
const (
	OK      = "ok"
	Limited = "limited" // recorded, but not as well as on other machines
	Failed  = "failed"
	Skipped = "skipped" // because an earlier one failed
)

// The checks that come after those of the steps.
const (
	Executables = "executables"
	Parallel    = "parallel tests"
)

// Check is one line of the answer.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	Advice string `json:"advice,omitempty"` // what mends it
}

// Diagnosis is the whole answer.
type Diagnosis struct {
	Records bool    `json:"records"`
	System  string  `json:"system"` // GOOS/GOARCH
	Checks  []Check `json:"checks"`
}

// Diagnose takes the steps to a recording and undoes them.
func Diagnose() Diagnosis {
	d := Diagnosis{System: runtime.GOOS + "/" + runtime.GOARCH}
	s, err := session.Open(probe.Sizes{}, func([]probe.Event) {}, func(step session.Step, detail string) {
		d.Checks = append(d.Checks, Check{Name: string(step), Status: OK, Detail: detail})
	}, nil)
	if err != nil {
		d.explain(err)
		return d
	}
	named := Check{Name: Executables, Status: OK}
	who, why := s.Executables()
	named.Detail = who + " names them"
	if why != "" {
		named.Status, named.Detail = Limited, fmt.Sprintf("%s names them, unless they have ended: %s", who, why)
	}
	d.Checks = append(d.Checks, named, parallel(s))
	if err := s.Close(); err != nil {
		d.Checks = append(d.Checks, failed("clean-up", err))
		return d
	}
	d.Records = true
	return d
}

// explain adds the step that failed, and those that were not come to.
func (d *Diagnosis) explain(err error) {
	for i, step := range session.Steps[min(len(d.Checks), len(session.Steps)):] {
		var check Check
		switch {
		case i == 0:
			check = failed(string(step), err)
		case step == session.Programs && !errors.Is(err, probe.ErrNotSupported):
			check = Check{Name: string(step), Status: Skipped, Detail: "they would load"}
			if err := session.CheckPrograms(); err != nil {
				check = failed(string(step), err)
			}
		default:
			check = Check{Name: string(step), Status: Skipped}
		}
		d.Checks = append(d.Checks, check)
	}
	d.Checks = append(d.Checks, Check{Name: Executables, Status: Skipped}, Check{Name: Parallel, Status: Skipped})
}

// parallel says whether tests that run at the same time are told apart.
func parallel(s *session.Session) Check {
	goroutines, children := s.Mixed()
	switch {
	case goroutines != "":
		return Check{Name: Parallel, Status: Limited, Detail: "each has the flows of all: " + goroutines}
	case children != "":
		return Check{Name: Parallel, Status: Limited, Detail: "each has the flows of all child processes: " + children}
	}
	return Check{Name: Parallel, Status: OK, Detail: "told apart, by goroutine"}
}

// asRoot says how root records, and whether it would.
const asRoot = "record with: go test " + session.ExecSudo + " ./...; whether root can: go run -exec sudo github.com/netzero-dev/netzero/netzerotest/doctor"

func failed(name string, err error) Check {
	check := Check{Name: name, Status: Failed, Advice: session.Advice(err, asRoot, "go test ./...")}
	var at *session.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	check.Detail = err.Error()
	return check
}
