package probe

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPermissionIsTold(t *testing.T) {
	for _, err := range []error{unix.EPERM, unix.EACCES} {
		if got := classify(fmt.Errorf("load: %w", err)); !errors.Is(got, ErrNotPermitted) || !errors.Is(got, err) {
			t.Errorf("classify(%v) is %v", err, got)
		}
	}
	if got := classify(unix.ENOSPC); errors.Is(got, ErrNotPermitted) || errors.Is(got, ErrNotSupported) {
		t.Errorf("classify(ENOSPC) is %v", got)
	}
}

func TestMissingCapabilities(t *testing.T) {
	const bpf, admin, perfmon, sys = 1 << unix.CAP_BPF, 1 << unix.CAP_NET_ADMIN, 1 << unix.CAP_PERFMON, 1 << unix.CAP_SYS_ADMIN
	for _, row := range []struct {
		reason    string
		effective uint64
		want      []string
	}{
		{"root", 1<<64 - 1, nil},
		{"the smallest set", bpf | admin | perfmon, nil},
		{"CAP_SYS_ADMIN stands for two", sys | admin, nil},
		{"but not for the network", sys, []string{"CAP_NET_ADMIN"}},
		{"nobody", 0, []string{"CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"}},
		{"without helpers of tracing", bpf | admin, []string{"CAP_PERFMON"}},
	} {
		if diff := cmp.Diff(row.want, missingOf(Capabilities()[:3], row.effective)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}
