package session

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestStepsAreTakenInOrderAndUndone(t *testing.T) {
	testenv.RequireRoot(t)
	var taken []Step
	s, err := Open(probe.Sizes{}, func([]probe.Event) {}, func(step Step, detail string) {
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
	if got := s.look(probe.Opener{PID: int(s.self.Load())}); got.PID != os.Getpid() || got.Name == "" || got.Command == "" {
		t.Errorf("the kernel's name for this process leads to %+v", got)
	}
	if got := s.look(probe.Opener{PID: 1 << 30, Comm: "gone"}); got.Name != "gone" {
		t.Errorf("a process that has ended is %+v", got)
	}
	if got := s.look(probe.Opener{PID: int(s.self.Load()), Executable: "before-exec"}); got.Name != "before-exec" || got.Command != "" {
		t.Errorf("a process that has become another program is %+v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Leaf.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leaf is still there: %v", err)
	}
}

func TestStepThatFailsIsNamedAndTheOthersUndone(t *testing.T) {
	testenv.RequireRoot(t)
	var last Step
	_, err := Open(probe.Sizes{RingBytes: 3}, func([]probe.Event) {}, func(step Step, _ string) { last = step })
	var at *Error
	if !errors.As(err, &at) || at.Step != Programs || last != Tree {
		t.Errorf("an impossible ring buffer gives %v after step %s", err, last)
	}
}

func TestAdviceFollowsTheCause(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{&Error{Tree, fmt.Errorf("x: %w", cgroup.ErrReadOnly)}, "--privileged"},
		{&Error{Tree, cgroup.ErrNoTree}, "mount -t cgroup2"},
		{&Error{Programs, &probe.PermissionError{Err: unix.EPERM}}, "sudo x"},
		{&Error{Leaf, cgroup.ErrNotPermitted}, "sudo x"},
		{&Error{Hooks, probe.ErrNotFiring}, "bpftool"},
		{&Error{Kernel, probe.ErrNotSupported}, ""},
		{errors.New("something else"), ""},
	} {
		if got := Advice(row.err, "sudo x"); !strings.Contains(got, row.want) || (got == "") != (row.want == "") {
			t.Errorf("%v: advice %q, want one with %q", row.err, got, row.want)
		}
	}
}
