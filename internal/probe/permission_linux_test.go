package probe

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPermission_Classified(t *testing.T) {
	for _, err := range []error{unix.EPERM, unix.EACCES} {
		if got := classify(fmt.Errorf("load: %w", err)); !errors.Is(got, ErrNotPermitted) || !errors.Is(got, err) {
			t.Errorf("classify(%v) is %v", err, got)
		}
	}
	if got := classify(unix.ENOSPC); errors.Is(got, ErrNotPermitted) || errors.Is(got, ErrNotSupported) {
		t.Errorf("classify(ENOSPC) is %v", got)
	}
}

func TestPermission_MissingCapabilities(t *testing.T) {
	const bpf, admin, perfmon = 1 << unix.CAP_BPF, 1 << unix.CAP_NET_ADMIN, 1 << unix.CAP_PERFMON
	const sys, resource = 1 << unix.CAP_SYS_ADMIN, 1 << unix.CAP_SYS_RESOURCE
	old, now := Version{5, 10}, Version{6, 12}
	for _, row := range []struct {
		reason    string
		kernel    Version
		effective uint64
		want      []string
	}{
		{"root", now, 1<<64 - 1, nil},
		{"the smallest set", now, bpf | admin | perfmon, nil},
		{"CAP_SYS_ADMIN implies all three", now, sys, nil},
		{"no capability", now, 0, []string{"CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"}},
		{"without helpers for tracing", now, bpf | admin, []string{"CAP_PERFMON"}},
		{"root on an old kernel", old, 1<<64 - 1, nil},
		{"the limit for locked memory", old, bpf | admin | perfmon, []string{"CAP_SYS_RESOURCE"}},
		{"the smallest set on an old kernel", old, bpf | admin | perfmon | resource, nil},
		{"CAP_SYS_ADMIN does not imply CAP_NET_ADMIN", old, sys | resource, []string{"CAP_NET_ADMIN"}},
		{"the last kernel on which it does not", Version{6, 8}, sys, []string{"CAP_NET_ADMIN"}},
	} {
		if diff := cmp.Diff(row.want, missingOf(capabilitiesOf(row.kernel, true), row.effective)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}
