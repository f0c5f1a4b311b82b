// Doctor prints what netzerotest can record on this machine, what is missing, and the command that mends it.
//
//	go run github.com/netzero-dev/netzero/netzerotest/doctor [-json]
//
// It takes the very steps that Record takes, and undoes them. Its exit status is 0 where recording is possible and 1
// where it is not.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
)

// check is one line of the answer.
type check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, failed, or skipped because an earlier one failed
	Detail string `json:"detail,omitempty"`
}

// diagnosis is the whole answer.
type diagnosis struct {
	Records bool    `json:"records"`
	System  string  `json:"system"` // GOOS/GOARCH
	Checks  []check `json:"checks"`
	Advice  string  `json:"advice,omitempty"`
}

func main() {
	asJSON := flag.Bool("json", false, "print the diagnosis as JSON")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "doctor: unexpected argument %q: it takes -json only\n", flag.Arg(0))
		os.Exit(2)
	}
	d := diagnose()
	if err := d.print(os.Stdout, *asJSON); err != nil {
		fmt.Fprintf(os.Stderr, "doctor: print diagnosis: %v\n", err)
		os.Exit(2)
	}
	if !d.Records {
		os.Exit(1)
	}
}

// diagnose takes the steps to a recording and undoes them.
func diagnose() diagnosis {
	d := diagnosis{System: runtime.GOOS + "/" + runtime.GOARCH}
	s, err := session.Open(probe.Sizes{}, func([]probe.Event) {}, func(step session.Step, detail string) {
		d.Checks = append(d.Checks, check{string(step), "ok", detail})
	})
	if err == nil {
		err = s.Close()
	}
	d.Records = err == nil
	if err == nil {
		return d
	}
	d.Advice = session.Advice(err, "sudo go run github.com/netzero-dev/netzero/netzerotest/doctor")
	var at *session.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	for _, step := range session.Steps[min(len(d.Checks), len(session.Steps)):] {
		failed := check{string(step), "skipped", ""}
		if err != nil {
			failed, err = check{string(step), "failed", err.Error()}, nil
		}
		d.Checks = append(d.Checks, failed)
	}
	if err != nil { // in cleaning up, after the last step
		d.Checks = append(d.Checks, check{"clean-up", "failed", err.Error()})
	}
	return d
}

func (d diagnosis) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(d)
	}
	text := fmt.Sprintf("netzerotest on %s\n", d.System)
	for _, c := range d.Checks {
		text += fmt.Sprintf("  %-8s %-14s %s\n", c.Status, c.Name, c.Detail)
	}
	switch {
	case d.Records:
		text += "Tests are recorded here.\n"
	case d.Advice != "":
		text += "Tests are NOT recorded here. Try: " + d.Advice + "\n"
	default:
		text += "Tests are NOT recorded here.\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
