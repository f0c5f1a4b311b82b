package recorder

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
)

// engineRun is a run of a client of an engine, by a descendant of the test process.
type engineRun struct {
	pid         int
	from, until time.Duration // until is 0 while it runs
	recording   goroutine.ID
	command     string
	cut         bool
}

// handleClient records that a client of an engine starts or ends.
func (c *containers) handleClient(e *probe.ClientEvent) {
	if e.Ended {
		for i := range c.runs {
			if r := &c.runs[i]; r.pid == e.PID && r.until == 0 {
				r.until = e.Time
			}
		}
		return
	}
	command := e.Command
	at := slices.IndexFunc(command, func(word string) bool { return slices.Contains(engineCommands, path.Base(word)) })
	if at < 0 { // a component of the engine
		return
	}
	if at < 2 { // after its interpreter
		command = command[at:]
	}
	c.runs = append(c.runs, engineRun{pid: e.PID, from: e.Time, recording: e.Recording, command: strings.Join(command, " "), cut: e.Cut})
	c.begin()
}

// candidates returns the clients of an engine at the time of a start event, among this process and its descendants. The
// kernel reports programs with the name of a client reliably; the others were found by searching at that time.
func (c *containers) candidates(st *startEvent) (all []engineClient) {
	known := make(map[int]bool)
	for _, r := range c.runs {
		known[r.pid] = true
		if r.from <= st.at && (r.until == 0 || st.at <= r.until) {
			all = append(all, engineClient{pid: r.pid, command: r.command, cut: r.cut, recording: r.recording})
		}
	}
	for _, client := range st.tree {
		if !known[client.pid] {
			all = append(all, client)
		}
	}
	return all
}
