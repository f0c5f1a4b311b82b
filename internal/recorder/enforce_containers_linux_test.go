package recorder

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// startContainer is what an engine does with a CgroupParent. It returns the directory of the container.
func startContainer(t *testing.T, tree cgroup.Tree, parent, id string) string {
	t.Helper()
	dir := filepath.Join(tree.Root, parent, id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(dir) })
	return dir
}

func TestEnforceContainers_FromFirstPacket(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	e := newEnforcementTest(t)
	e.containers = newContainerPolicies(tree, 1)
	rec := e.recording("TestA", 443)
	rec.options.Enforcement.Container = func(workload, namespace string) (enforce.Table, error) {
		if workload == "free" {
			return enforce.Table{Unrestricted: true}, nil
		}
		if workload != "orders" || namespace != "shop" {
			return enforce.Table{}, errors.New("no such workload")
		}
		return tableOf(8080), nil
	}
	e.join(t, rec)
	t.Cleanup(e.close)
	driver := docker.Engine{CgroupDriver: "cgroupfs"}
	id := strings.Repeat("0a", 32)
	starting := newContainer{
		Container: docker.Container{ID: id, CgroupParent: e.newParent(rec, driver)},
		pod:       id, workload: flow.Endpoint{Name: "orders", Namespace: "shop"},
	}
	if e.isEnforced(starting.Container) {
		t.Error("a container is enforced before its start")
	}
	if err := e.enforceContainer(rec, starting); err != nil {
		t.Fatal(err)
	}
	of, err := cgroup.ID(filepath.Join(tree.Root, starting.CgroupParent))
	if err != nil {
		t.Fatal(err)
	}
	policy, enforced := e.kernel.below[of]
	if !enforced || e.kernel.level != 1 || !e.kernel.permits(policy, "10.1.2.3", 8080) ||
		e.kernel.permits(policy, "10.1.2.3", 443) {
		t.Errorf("enforced: %t, at level %d, with %v", enforced, e.kernel.level, e.kernel.policies[policy])
	}
	if e.isEnforced(starting.Container) {
		t.Error("a container outside of its cgroup is enforced")
	}
	dir := startContainer(t, tree, starting.CgroupParent, id)
	if !e.isEnforced(starting.Container) {
		t.Error("a container in its cgroup is not enforced")
	}
	if err := e.enforceContainer(rec, starting); err != nil || len(e.kernel.below) != 1 || len(e.policies) != 3 {
		t.Errorf("a restart: %v, with %d policies", err, len(e.policies))
	}

	e.leave(t, rec)
	if len(e.kernel.policies) != 0 {
		t.Errorf("%d policies are left", len(e.kernel.policies))
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the cgroup of a running container is removed: %v", err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	e.close()
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("the cgroup that was made for the container is left")
	}
}

func TestEnforceContainers_NotEnforced(t *testing.T) {
	e := newEnforcementTest(t)
	e.containers = newContainerPolicies(cgroup.Tree{Root: t.TempDir()}, 1)
	rec := e.recording("TestA", 443)
	rec.options.Enforcement.Container = func(workload, _ string) (enforce.Table, error) {
		if workload == "unknown" {
			return enforce.Table{}, errors.New("no such workload")
		}
		return enforce.Table{Unrestricted: workload == "free"}, nil
	}
	e.join(t, rec)
	for _, row := range []struct{ reason, workload, parent, want string }{
		{"unrestricted", "free", "/theirs", ""},
		{"in a cgroup of the user", "orders", "/theirs", `it starts in cgroup "/theirs": leave CgroupParent out`},
		{"without a table", "unknown", "/theirs", "no such workload"},
	} {
		c := newContainer{
			Container: docker.Container{ID: row.reason, CgroupParent: row.parent},
			workload:  flow.Endpoint{Name: row.workload},
		}
		text := ""
		if err := e.enforceContainer(rec, c); err != nil {
			text = err.Error()
		}
		if (text == "") != (row.want == "") || !strings.HasPrefix(text, row.want) {
			t.Errorf("%s: %q, want %q", row.reason, text, row.want)
		}
		if enforced := e.isEnforced(c.Container); enforced != (row.want == "") {
			t.Errorf("%s: enforced: %t", row.reason, enforced)
		}
	}
	if len(e.kernel.below) != 0 {
		t.Errorf("enforced: %v", e.kernel.below)
	}
}

func TestEnforceContainers_Engines(t *testing.T) {
	for _, row := range []struct {
		engine docker.Engine
		want   bool
	}{
		{docker.Engine{CgroupDriver: "cgroupfs"}, true},
		{docker.Engine{CgroupDriver: "systemd"}, true},
		{docker.Engine{CgroupDriver: "none"}, false},
		{docker.Engine{CgroupDriver: "systemd", Rootless: true}, false},
	} {
		if err := checkEngine(row.engine); (err == nil) != row.want {
			t.Errorf("%+v: %v", row.engine, err)
		}
	}
}

func TestEnforceContainers_AddedHosts(t *testing.T) {
	got := addedHosts([]string{
		"API.test:192.0.2.1", "v6.test:2001:db8::1", "gateway:host-gateway", "api.test:192.0.2.2",
	})
	addr := netip.MustParseAddr
	want := map[string][]netip.Addr{
		"api.test": {addr("192.0.2.1"), addr("192.0.2.2")}, "v6.test": {addr("2001:db8::1")},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
