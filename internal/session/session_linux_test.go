package session

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestOpen_StepsInOrder(t *testing.T) {
	testenv.RequireRoot(t)
	var taken []Step
	s, err := Open(probe.Sizes{}, probe.Handler{Handle: func([]probe.Event) {}}, func(step Step, detail string) {
		if detail == "" {
			t.Errorf("step %s has no detail", step)
		}
		taken = append(taken, step)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(taken, Steps) {
		t.Errorf("took %v, want %v", taken, Steps)
	}
	if got := s.describe(probe.Initiator{PID: int(s.self.Load())}, nil); got.PID != os.Getpid() || got.Name == "" ||
		got.Command == "" {
		t.Errorf("the kernel's name for this process leads to %+v", got)
	}
	if got := s.describe(probe.Initiator{PID: 1 << 30, Comm: "gone"}, nil); got.Name != "gone" {
		t.Errorf("a process that has ended is %+v", got)
	}
	if got := s.describe(probe.Initiator{PID: int(s.self.Load()), Executable: "before-exec"},
		nil); got.Name != "before-exec" || got.Command != "" {
		t.Errorf("a process that has become another program is %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Leaf.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leaf is still there: %v", err)
	}
}

func TestOpen_FailedStepIsUndone(t *testing.T) {
	testenv.RequireRoot(t)
	var last Step
	_, err := Open(probe.Sizes{RingBytes: 3}, probe.Handler{Handle: func([]probe.Event) {}},
		func(step Step, _ string) { last = step })
	var at *Error
	if !errors.As(err, &at) || at.Step != Programs || last != Tree {
		t.Errorf("an impossible ring buffer gives %v after step %s", err, last)
	}
}

func TestAdvice_Causes(t *testing.T) {
	const free, confined, root = 1, 2, 4
	permission := &Error{Programs, &probe.PermissionError{Err: unix.EPERM}}
	for _, row := range []struct {
		err  error
		who  int // bits
		want string
	}{
		{&Error{Tree, fmt.Errorf("x: %w", cgroup.ErrReadOnly)}, free | confined | root, inContainer},
		{&Error{Tree, cgroup.ErrNoTree}, root, "mount it: " + mount},
		{&Error{Tree, cgroup.ErrNoTree}, confined,
			"in a container, run it with --privileged and mount it there (" + mount + "), or run the tests outside"},
		{&Error{Tree, cgroup.ErrNoTree}, free, "mount it: " + sudoMount},
		{permission, free | root, "sudo x"},
		{permission, confined, inContainer},
		{&Error{Programs, &probe.PermissionError{UserNamespace: true}}, confined,
			"run the tests outside the user namespace: rootless containers cannot be recorded"},
		{&Error{Programs, &probe.PermissionError{Filtered: true}}, free | confined | root,
			"run the container with --privileged or --security-opt seccomp=unconfined, or run the tests outside"},
		{&Error{Leaf, cgroup.ErrNotPermitted}, free,
			"sudo x; or keep these capabilities and run the tests in your own cgroup: systemd-run --user " +
				"--scope -p Delegate=yes go test x"},
		{&Error{Leaf, cgroup.ErrNotPermitted}, confined, inContainer},
		{&Error{Hooks, probe.ErrNotFiring}, free | confined | root,
			"other eBPF programs are attached to a parent cgroup; list them with: bpftool cgroup tree"},
		{&Error{Kernel, probe.ErrNotSupported}, free | confined | root, "run the tests on Linux 5.10 or newer"},
		{errors.New("something else"), free | confined | root, ""},
	} {
		for _, who := range []int{free, confined, root} {
			if row.who&who == 0 {
				continue
			}
			if got := advise(row.err, "sudo x", "go test x", who == confined, who == root); got != row.want {
				t.Errorf("%v (%d):\n got %q\nwant %q", row.err, who, got, row.want)
			}
		}
	}
}

// A process may have executed another program since the kernel reported it. The executable of another user's process is
// not readable.
func TestRuns_SameProgram(t *testing.T) {
	for _, row := range []struct {
		reason           string
		name, executable string // of the process now
		comm, kernel     string // of the event
		want             bool
	}{
		{"the same", "redis-cli", "/usr/bin/redis-cli", "redis-cli", "redis-cli", true},
		{"another one", "sleep", "/usr/bin/sleep", "redis-cli", "redis-cli", false},
		{"a link to a program with many names", "busybox", "/bin/busybox", "wget", "busybox", true},
		{"the same, unreadable", "redis-cli", "", "redis-cli", "redis-cli", true},
		{"a link, unreadable", "wget", "", "wget", "busybox", true},
		{"a long name, unreadable", "a-program-with-", "", "worker", "a-program-with-a-long-name", true},
		{"another one, unreadable", "sleep", "", "redis-cli", "redis-cli", false},
		{"gone", "", "", "redis-cli", "redis-cli", false},
	} {
		got := runs(flow.Process{Name: row.name, Executable: row.executable},
			probe.Initiator{Comm: row.comm, Executable: row.kernel})
		if got != row.want {
			t.Errorf("%s: %v", row.reason, got)
		}
	}
}
