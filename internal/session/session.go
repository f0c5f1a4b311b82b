// Package session puts a process into a state in which it is recorded: in a cgroup of its own, with the eBPF programs
// attached and proven to see it. It says step by step how far that went.
//
// It refuses to go on from a step that failed, and undoes what was done. What the programs see is the business of its
// caller.
package session

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
)

// Step is one thing that recording needs.
type Step string

// The steps, in their order.
const (
	Kernel   Step = "kernel"        // Linux 5.10 or newer
	Tree     Step = "cgroup v2"     // mounted and writable
	Programs Step = "eBPF programs" // loaded and attached
	Leaf     Step = "own cgroup"    // made, and this process is in it
	Hooks    Step = "hooks"         // the programs see this process
)

// Steps lists all steps in their order.
var Steps = []Step{Kernel, Tree, Programs, Leaf, Hooks}

// Error says at which step recording turned out to be impossible.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Advice says what mends an error of [Open], or returns "" where nothing is known. privileged is the advice where
// privileges are missing.
func Advice(err error, privileged string) string {
	switch {
	case errors.Is(err, cgroup.ErrReadOnly):
		return "in a container, run it with --privileged, or run the tests outside"
	case errors.Is(err, cgroup.ErrNoTree):
		return "mount it: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
	case errors.Is(err, probe.ErrNotPermitted), errors.Is(err, cgroup.ErrNotPermitted):
		return privileged
	case errors.Is(err, probe.ErrNotFiring):
		return "something else keeps eBPF programs at a cgroup above this one; look with: bpftool cgroup tree"
	}
	return ""
}
