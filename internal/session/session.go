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

// Newborn makes [Open] record the cgroups too that are made while the session lasts, anybody's (see [probe.Probe.TrackNewCgroups]),
// until it says of one that it is nobody's. It is called as [probe.Handler] says, and told too of cgroups that are being made.
type Newborn func(*probe.CgroupEvent) (nobodys bool)

// Error says at which step recording turned out to be impossible.
type Error struct {
	Step Step
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Advice says what mends an error of [Open] or [CheckPrograms], or returns "" where nothing is known. privileged is the
// advice where root could record, and this process could become root; command is what runs the tests.
func Advice(err error, privileged, command string) string {
	confined, mayMount := ownRights()
	return advise(err, privileged, command, confined, mayMount)
}

// ExecSudo is the flag of go test with which test binaries run as root. The build is left to the user, whose caches stay
// their own.
const ExecSudo = "-exec 'sudo --preserve-env=PATH,HOME,CI,NETZERO,NETZERO_UPDATE,NETZERO_RING_BYTES,NETZERO_MAX_FLOWS'"

const (
	inContainer = "in a container, run it with --privileged, or run the tests outside"
	// Anywhere else /sys/fs/cgroup may be read-only, or a cgroup v1 of this name.
	mount     = "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2"
	sudoMount = "sudo mkdir -p /run/cgroup2 && sudo mount -t cgroup2 none /run/cgroup2"
)

// advise is Advice for a process that is confined (no program that it starts can be privileged), or may mount.
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
		return "run the tests outside of it: in a rootless container they cannot be recorded"
	case errors.As(err, &permission) && permission.Filtered:
		return "run the container with --privileged or --security-opt seccomp=unconfined, or run the tests outside"
	case confined && (errors.Is(err, probe.ErrNotPermitted) || errors.Is(err, cgroup.ErrNotPermitted)):
		return inContainer
	case errors.Is(err, probe.ErrNotPermitted):
		return privileged
	case errors.Is(err, cgroup.ErrNotPermitted):
		return privileged + "; or, with the capabilities that this process has, in a cgroup of your own: systemd-run --user --scope -p Delegate=yes " + command
	case errors.Is(err, probe.ErrNotSupported):
		return "run the tests on Linux 5.10 or newer"
	case errors.Is(err, probe.ErrNotFiring):
		return "something else keeps eBPF programs at a cgroup above this one; look with: bpftool cgroup tree"
	}
	return ""
}
