package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// leave runs an act in a child with a new pid namespace, in another cgroup than the creator of the namespace: "leave
// DIR ACT".
func leave(what string) error {
	dir, what, _ := strings.Cut(what, " ")
	group, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer group.Close()
	child := descendant(what)
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, UseCgroupFD: true, CgroupFD: int(group.Fd()),
	}
	return child.Run()
}

// A container with a mount of the cgroup tree can leave its cgroup, but not its pid namespace.
func TestPIDNamespace_ContainerLeavesItsCgroup(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Recorded(t, "containers: processes that have left their cgroup are in scope")
	older := newGroup(t, filepath.Join(currentCgroup(t), fmt.Sprintf("probe-test-%d-older", os.Getpid())))
	r := newTrackingRig(t, Sizes{})
	tcp, udp := listen(t, "tcp4", "127.0.0.1:0").String(), silent(t, "udp4", "127.0.0.1:0").String()
	made := 0
	for _, where := range []struct {
		reason string
		group
	}{
		{"older than the recording", older},
		{"newer, ignored as unrelated", r.sibling("rejected")},
	} {
		check(t, r.Ignore(where.id))
		for _, row := range []struct{ act, flow string }{
			{"tcp " + tcp, "TCP " + tcp},
			{"udp " + udp, "UDP " + udp},
			{"ping 127.0.0.77", "ICMP 127.0.0.77:8"},
			{"spawn tcp " + tcp, "TCP " + tcp},
			{"leave " + where.dir + " tcp " + tcp, "TCP " + tcp},
		} {
			t.Run(where.reason+", "+row.act, func(t *testing.T) {
				made++
				container := r.sibling(fmt.Sprintf("container-%d", made))
				r.clear()
				container.run("leave " + where.dir + " " + row.act)
				if diff := cmp.Diff([]string{row.flow}, r.flowsOf(container.id)); diff != "" {
					t.Errorf("flows (-want +got):\n%s", diff)
				}
				if names := r.namesOf(container.id); len(names) != 1 || names[0] != nil {
					t.Errorf("its cgroup has names, but the task is not in it: %v", names)
				}
			})
		}
	}
	r.clear()
	older.run("tcp " + tcp) // never in a new cgroup
	older.run("leave " + older.dir + " tcp " + tcp)
	for _, e := range seen[*FlowEvent](r) {
		if e.Addr.IsLoopback() && fmt.Sprintf("%s:%d", e.Addr, e.Port) == tcp {
			t.Errorf("the flow of an unrelated process is reported: %+v", e)
		}
	}
	nested := newGroup(t, filepath.Join(r.sibling("outer").dir, "nested"))
	nested.run("leave " + nested.dir + " tcp " + tcp)
	if diff := cmp.Diff([]string{"TCP " + tcp}, r.flowsOf(nested.id)); diff != "" {
		t.Errorf("flows of a process that stays (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}
