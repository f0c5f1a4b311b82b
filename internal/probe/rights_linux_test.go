package probe

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRights_ParseStatus(t *testing.T) {
	const docker = "Name:\tdoctor\nCapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n" +
		"CapBnd:\t00000000a80435fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n"
	got, err := parseRights(docker)
	if err != nil {
		t.Fatal(err)
	}
	want := Rights{Effective: 0xa80425fb, Bounding: 0xa80435fb, NoNewPrivileges: true, Filtered: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}
	for _, text := range []string{"", "CapEff:\tx\nCapBnd:\t1\n", "CapEff:\t1\n"} {
		if got, err := parseRights(text); err == nil {
			t.Errorf("%q gives %+v", text, got)
		}
	}
}

func TestRights_Confined(t *testing.T) {
	const all = 1<<41 - 1
	for _, row := range []struct {
		reason string
		rights Rights
		want   bool
	}{
		{"root", Rights{Effective: all, Bounding: all}, false},
		{"a user who may use sudo", Rights{Bounding: all}, false},
		{"a user with a seccomp filter of the desktop", Rights{Bounding: all, Filtered: true}, false},
		{"sudo does not work with no_new_privs", Rights{Bounding: all, NoNewPrivileges: true}, true},
		{"root in Docker", Rights{Effective: 0xa80425fb, Bounding: 0xa80425fb}, true},
		{"root of a user namespace", Rights{Effective: all, Bounding: all, UserNamespace: true}, true},
	} {
		if got := row.rights.Confined(); got != row.want {
			t.Errorf("%s: %t, want %t", row.reason, got, row.want)
		}
	}
}

func TestPermission_ExplainedByRights(t *testing.T) {
	const all, none, bare = 1<<41 - 1, "", "not permitted: operation not permitted"
	verifier := &ebpf.VerifierError{Cause: unix.EINVAL}
	for _, row := range []struct {
		reason string
		rights Rights
		err    error
		want   string // of a *PermissionError
	}{
		{"no known cause", Rights{Effective: all}, unix.EPERM, bare},
		{"Docker's filter requires CAP_SYS_ADMIN", Rights{Effective: all, Filtered: true}, unix.EPERM,
			"not permitted: no capability is missing, so the seccomp filter of a container forbids bpf(2)"},
		{"EACCES is not from a filter", Rights{Effective: all, Filtered: true}, unix.EACCES,
			"not permitted: permission denied"},
		{"a missing capability comes before the filter",
			Rights{Effective: all &^ (1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_ADMIN), Filtered: true}, unix.EPERM,
			"not permitted: missing CAP_NET_ADMIN"},
		{"a user namespace comes before both", Rights{UserNamespace: true, Filtered: true}, unix.EPERM,
			"not permitted: this process is in a user namespace, where capabilities do not count"},
		{"a helper that is unknown without a capability",
			Rights{Effective: all &^ (1<<unix.CAP_PERFMON | 1<<unix.CAP_SYS_ADMIN)}, verifier,
			"not permitted: missing CAP_PERFMON"},
		{"a program that the verifier always rejects", Rights{Effective: all}, verifier, none},
	} {
		var got *PermissionError
		text := none
		if errors.As(row.rights.classify(row.err), &got) {
			text = got.Error()
		}
		if text != row.want {
			t.Errorf("%s: %q, want %q", row.reason, text, row.want)
		}
	}
}
