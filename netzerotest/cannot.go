package netzerotest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
)

// cannotRecord says in one line why recording is impossible and what to do.
func cannotRecord(tb testing.TB, err error) string {
	advice := ""
	switch {
	case errors.Is(err, cgroup.ErrReadOnly):
		advice = "in a container, run it with --privileged and --cgroupns=host, or run the tests outside"
	case errors.Is(err, cgroup.ErrNoTree):
		advice = "mount it: mount -t cgroup2 none /sys/fs/cgroup/unified"
	case errors.Is(err, probe.ErrNotPermitted), errors.Is(err, cgroup.ErrNotPermitted):
		advice = "record with: " + goTest(tb, execSudo)
	case errors.Is(err, probe.ErrNotSupported):
		advice = "recording needs Linux 5.10 or newer"
	}
	if advice == "" {
		return fmt.Sprintf("cannot record: %v", err)
	}
	return fmt.Sprintf("cannot record: %v; %s", err, advice)
}
