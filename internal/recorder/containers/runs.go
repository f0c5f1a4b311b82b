package containers

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// Client is a client of an engine.
type Client struct {
	PID       int          // 0 if it is not visible
	Command   string       // its command line; empty if it is not visible
	Recording goroutine.ID // that the process belongs to; 0 if it is none in particular
	Cut       bool         // the command line is incomplete
	Sibling   bool         // it has the same parent as this process, as the tests of other packages do

	OnlyTestcontainers bool // all of its calls are made by testcontainers-go
}

// Start is a moment at which an engine created the cgroup of a container or moved a command into it, with the clients
// of the engine at that moment.
//
// An engine does not report which client asked it to start a container or to run a command in one. But the client waits
// for the answer while the engine creates the container's cgroup, or moves the command into it. So the clients that are
// connected at that moment are the candidates.
type Start struct {
	At        time.Duration // CLOCK_MONOTONIC
	Command   bool          // a command in a container that is older than the recording
	Tree      []Client      // this process, once for each recording that makes calls, and its descendants
	Unrelated []Client      // all other processes
}

// Runs are the runs of engine clients that the kernel reported. The zero value has none.
type Runs struct{ all []run }

type run struct {
	client      Client
	unrelated   bool          // it does not descend from the test process
	from, until time.Duration // until is 0 while it runs
}

// Clone returns a copy.
func (r *Runs) Clone() Runs { return Runs{slices.Clone(r.all)} }

// IsEmpty reports whether no client has started.
func (r *Runs) IsEmpty() bool { return len(r.all) == 0 }

// Begin records that a client starts that descends from the test process. It returns false for a component of the
// engine.
func (r *Runs) Begin(pid int, at time.Duration, recording goroutine.ID, command []string, cut bool) bool {
	return r.begin(run{client: Client{PID: pid, Recording: recording, Cut: cut}, from: at}, command)
}

// BeginUnrelated records that a client starts that does not descend from the test process.
func (r *Runs) BeginUnrelated(pid int, at time.Duration, command []string, cut bool) {
	r.begin(run{client: Client{PID: pid, Cut: cut}, unrelated: true, from: at}, command)
}

func (r *Runs) begin(next run, command []string) bool {
	i := slices.IndexFunc(command, func(word string) bool { return IsEngineCommand(path.Base(word)) })
	if i < 0 {
		return false
	}
	if i < 2 { // after its interpreter
		command = command[i:]
	}
	next.client.Command = strings.Join(command, " ")
	r.all = append(r.all, next)
	return true
}

// End records that a process ends.
func (r *Runs) End(pid int, at time.Duration) {
	for i := range r.all {
		if run := &r.all[i]; run.client.PID == pid && run.until == 0 {
			run.until = at
		}
	}
}

// Clients returns the clients of an engine at a start, among this process and its descendants. The kernel reports
// programs with the name of a client reliably; the others were found by searching at that time.
func (r *Runs) Clients(s *Start) []Client { return r.clientsAt(s.At, false, s.Tree) }

// Unrelated returns the clients of an engine at a start, among all other processes. See [Runs.Clients].
func (r *Runs) Unrelated(s *Start) []Client { return r.clientsAt(s.At, true, s.Unrelated) }

func (r *Runs) clientsAt(at time.Duration, unrelated bool, found []Client) (all []Client) {
	known := make(map[int]bool)
	for _, run := range r.all {
		if run.unrelated != unrelated {
			continue
		}
		known[run.client.PID] = true
		if run.from <= at && (run.until == 0 || at <= run.until) {
			all = append(all, run.client)
		}
	}
	for _, client := range found {
		if !known[client.PID] {
			all = append(all, client)
		}
	}
	return all
}
