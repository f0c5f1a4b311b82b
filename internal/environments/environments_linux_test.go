package environments

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestEnvironments(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.FallsBack(t, "recording without BTF", unnamed)
	user := func() *syscall.SysProcAttr {
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	namespace := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
	}
	least := probe.Capabilities()
	for _, row := range []struct {
		name string // of the golden file
		environment
	}{
		{"root", environment{}},
		{"user", environment{attributes: user()}},
		{"user-no-new-privs", environment{"no-new-privs", user()}},
		{"user-with-capabilities", environment{attributes: withCapabilities(ownCgroup(t, nobody), least)}},
		{"user-with-capabilities-in-roots-cgroup", environment{attributes: withCapabilities(ownCgroup(t, 0), least)}},
		{"root-with-capabilities", environment{bounded(least), ownCgroup(t, 0)}},
		{"root-without-capabilities", environment{faults: "bounded=0"}},
		{"user-without-tree", environment{"no-tree,user", mounts()}},
		{"user-namespace", environment{attributes: namespace}},
		{"bpf-filtered", environment{faults: "bpf-filtered"}},
		{"below-floor", environment{faults: "below-floor"}},
		{"no-btf", environment{"no-btf", mounts()}},
		{"read-only", environment{"read-only", mounts()}},
		{"no-tree", environment{"no-tree", mounts()}},
		{"no-tree-and-no-capabilities", environment{"no-tree,bounded=0", mounts()}},
		{"cgroup-namespace", environment{"cgroup-namespace", ownCgroup(t, 0)}},
	} {
		t.Run(row.name, func(t *testing.T) { compare(t, row.name, transcript(t, row.command)) })
	}
}

func TestEnvironments_AdviceToMountWorks(t *testing.T) {
	testenv.RequireRoot(t)
	compare(t, "root",
		strings.ReplaceAll(transcript(t, environment{"no-tree,mounted", mounts()}.command), "/run/cgroup2", "TREE"))
}

// Recording works with the smallest set of capabilities. Without any one of them it fails and names that one.
func TestCapabilities_SmallestSet(t *testing.T) {
	testenv.RequireRoot(t)
	set := probe.Capabilities()
	for _, who := range []struct {
		name string
		with func([]probe.Capability) environment
	}{
		{"root", func(set []probe.Capability) environment { return environment{bounded(set), ownCgroup(t, 0)} }},
		{"a user in their own cgroup", func(set []probe.Capability) environment {
			return environment{attributes: withCapabilities(ownCgroup(t, nobody), set)}
		}},
	} {
		if got := run(t, who.with(set).command("test", "NETZERO=require")); got.status != 0 ||
			strings.Contains(got.text, "NOT RECORDED") {
			t.Errorf("%s with %s: exit status %d:\n%s", who.name, names(set), got.status, got.text)
		}
		for i, missing := range set {
			others := slices.Delete(slices.Clone(set), i, i+1)
			got := run(t, who.with(others).command("test", "NETZERO=require"))
			if want := "eBPF programs: load: not permitted: missing " + missing.Name + ";"; got.status != 1 ||
				!strings.Contains(got.text, want) {
				t.Errorf("%s with %s: exit status %d, no %q:\n%s", who.name, names(others), got.status, want, got.text)
			}
		}
	}
	testenv.Reports(t, "the smallest set of Linux capabilities", names(set))
}

// The older CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON. It does not include CAP_SYS_RESOURCE, and before Linux 6.9
// not CAP_NET_ADMIN.
func TestCapabilities_SysAdmin(t *testing.T) {
	testenv.RequireRoot(t)
	set := append([]probe.Capability{{Number: unix.CAP_SYS_ADMIN, Name: "CAP_SYS_ADMIN"}}, probe.Capabilities()[3:]...)
	got := run(t, environment{bounded(set), ownCgroup(t, 0)}.command("test", "NETZERO=require"))
	if got.status == 0 && !strings.Contains(got.text, "NOT RECORDED") {
		return
	}
	if !strings.Contains(got.text, "not permitted: missing CAP_NET_ADMIN;") {
		t.Errorf("root with %s: exit status %d:\n%s", names(set), got.status, got.text)
	}
	set = append(set, probe.Capabilities()[1])
	if got = run(t, environment{bounded(set), ownCgroup(t, 0)}.command("test", "NETZERO=require")); got.status != 0 {
		t.Errorf("root with %s: exit status %d:\n%s", names(set), got.status, got.text)
	}
}

func names(set []probe.Capability) string {
	var all []string
	for _, c := range set {
		all = append(all, c.Name)
	}
	return strings.Join(all, ", ")
}
