// Package session brings a process into the state in which it is recorded: in its own cgroup, with the eBPF programs
// attached and proven to see it.
//
// It reports each step, stops at the first one that fails, and undoes the others. It does not interpret events.
package session

import (
	"errors"
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
)

// Step is one requirement of recording.
type Step string

// The steps, in order.
const (
	Kernel   Step = "kernel"        // Linux 5.10 or newer
	Tree     Step = "cgroup v2"     // mounted and writable
	Programs Step = "eBPF programs" // loaded and attached
	Leaf     Step = "own cgroup"    // made, with this process in it
	Hooks    Step = "hooks"         // the programs see this process
)

// Steps lists all steps in order.
var Steps = []Step{Kernel, Tree, Programs, Leaf, Hooks}

// Error reports the step at which recording failed.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// IsExpected reports whether an error of [Open] or [CheckPrograms] is normal on a developer's machine, which lacks a
// prerequisite. All other errors mean that something is broken.
func IsExpected(err error) bool {
	return slices.ContainsFunc([]error{
		probe.ErrNotPermitted, probe.ErrNotSupported, cgroup.ErrNotPermitted, cgroup.ErrNoTree, cgroup.ErrReadOnly,
	}, func(class error) bool { return errors.Is(err, class) })
}

// Advice returns the fix for an error of [Open] or [CheckPrograms], or "" if none is known. privileged is the advice
// for a case that root could record and this process could become root; command is the command that runs the tests.
func Advice(err error, privileged, command string) string {
	confined, mayMount := ownRights()
	return advise(err, privileged, command, confined, mayMount)
}

const (
	inContainer = "in a container, run it with --privileged, or run the tests outside"
	// On other machines /sys/fs/cgroup may be read-only, or a cgroup v1 mount.
	mount     = "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2"
	sudoMount = "sudo mkdir -p /run/cgroup2 && sudo mount -t cgroup2 none /run/cgroup2"
)

// advise is Advice for a process that is confined (no child can be privileged) or may mount.
func advise(err error, privileged, command string, confined, mayMount bool) string {
	var permission *probe.PermissionError
	switch {
	case errors.Is(err, cgroup.ErrReadOnly):
		return inContainer
	case errors.Is(err, cgroup.ErrNoTree) && mayMount:
		return "mount it: " + mount
	case errors.Is(err, cgroup.ErrNoTree) && confined:
		return "in a container, run it with --privileged and mount it there (" + mount + "), or run the tests outside"
	case errors.Is(err, cgroup.ErrNoTree):
		return "mount it: " + sudoMount
	case errors.As(err, &permission) && permission.UserNamespace:
		return "run the tests outside the user namespace: rootless containers cannot be recorded"
	case errors.As(err, &permission) && permission.Filtered:
		return "run the container with --privileged or --security-opt seccomp=unconfined, or run the tests outside"
	case confined && (errors.Is(err, probe.ErrNotPermitted) || errors.Is(err, cgroup.ErrNotPermitted)):
		return inContainer
	case errors.Is(err, probe.ErrNotPermitted):
		return privileged
	case errors.Is(err, cgroup.ErrNotPermitted):
		return privileged + "; or keep these capabilities and run the tests in your own cgroup: " +
			"systemd-run --user --scope -p Delegate=yes " + command
	case errors.Is(err, probe.ErrNotSupported):
		return "run the tests on Linux 5.10 or newer"
	case errors.Is(err, probe.ErrNotFiring):
		return "other eBPF programs are attached to a parent cgroup; list them with: bpftool cgroup tree"
	}
	return ""
}
