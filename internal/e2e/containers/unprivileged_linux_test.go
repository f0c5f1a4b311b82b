package containers

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// unprivilegedVariable makes all users unprivileged. It shows which tests of this package need more than the documented
// capabilities.
const unprivilegedVariable = "NETZERO_CONTAINERS_UNPRIVILEGED"

func init() {
	users["published ports"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Workload("checkout"))
		db := run(t, image, "listen :5432 then wait", rec.As("orders-db"), testcontainers.WithExposedPorts("5432/tcp"))
		await(t, fmt.Sprintf("localhost:%d", published(t, db, "5432/tcp")))
		cache := run(t, image, "listen :6379 then wait", in(newNetwork(t), "cache"),
			testcontainers.WithExposedPorts("6379/tcp")) // not passed
		await(t, fmt.Sprintf("localhost:%d", published(t, cache, "6379/tcp")))
	}
	users["dials"] = func(t *testing.T) {
		record(t, netzerotest.Workload("checkout"))
		for address := range strings.FieldsSeq(os.Getenv("DIALS")) {
			await(t, address)
		}
	}
}

// The engine's process that serves a published port belongs to root. The engine tells which container publishes it.
func TestUnprivileged_PublishedPorts(t *testing.T) {
	require(t)
	root, other := newUser(t), unprivileged(t)
	root.passes("published ports", "-update")
	other.passes("published ports", "-update")
	if diff := cmp.Diff(root.golden(), other.golden()); diff != "" {
		t.Errorf("root and an unprivileged user record different policies (-root +other):\n%s", diff)
	}
	other.says(other.golden(), "app: orders-db")
	other.says(other.golden(), "app: cache")
	other.saysNot(other.golden(), "127.0.0.1")
}

// The same for containers that the test did not start: nothing but their ports shows that there are any.
func TestUnprivileged_OlderContainers(t *testing.T) {
	image := require(t)
	start := func(workload string, args ...string) string {
		t.Helper()
		args = append([]string{"run", "--detach", "--label", "dev.netzero.workload=" + workload}, args...)
		id := docker(t, args...)
		t.Cleanup(func() { docker(t, "rm", "--force", id) })
		return id
	}
	ledger := start("ledger", "--publish", "127.0.0.1::5432", image+" listen :5432 then wait")
	port := ownPort(t)
	start("agent", "--network", "host", image+" listen 127.0.0.1:"+port+" then wait")
	hideCgroup(t, ledger)
	env := []string{"DIALS=" + docker(t, "port", ledger+" 5432/tcp") + " 127.0.0.1:" + port}
	root, other := newUser(t), unprivileged(t)
	for _, u := range []user{root, other} {
		if out, passed := u.testWith(env, "dials", "-update"); !passed {
			t.Fatalf("failed:\n%s", out)
		}
	}
	if diff := cmp.Diff(root.golden(), other.golden()); diff != "" {
		t.Errorf("root and an unprivileged user record different policies (-root +other):\n%s", diff)
	}
	other.says(other.golden(), "app: ledger")
	other.says(other.golden(), "app: agent")
}

// hideCgroup makes a cgroup in a container that only root may read.
func hideCgroup(t *testing.T, container string) {
	t.Helper()
	pid, err := strconv.Atoi(docker(t, "inspect", "--format={{.State.Pid}}", container))
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	path, err := cgroup.OfProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(tree.Root, path, "hidden")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
}

// What a process of a container is, and that it has no open connections, shows without its links in /proc.
func TestUnprivileged_ProcessesInContainers(t *testing.T) {
	require(t)
	u := unprivileged(t)
	out := u.passes("callers: health check of a shell", "-update")
	u.says(out, `infrastructure, not in the policy: health checks: .*cache:6379/TCP`)
	u.saysNot(u.golden(), "6379")
	u.passes("adopt", "-update")
	u.says(u.golden(), `name: orders-worker`)
}

// A process of root's that is in no container is unknown, and so is everything if the engine may not be queried. A line
// says so, without -v.
func TestUnprivileged_HiddenListener(t *testing.T) {
	require(t)
	u := unprivileged(t)
	port := ownPort(t)
	echoAt(t, "127.0.0.1:"+port)
	for _, host := range []string{"", "DOCKER_HOST=unix:///nonexistent/engine"} {
		out, passed := u.testWith([]string{"DIALS=127.0.0.1:" + port, host}, "dials", "-update", "-test.v=false")
		if !passed {
			t.Errorf("%q: failed:\n%s", host, out)
		}
		u.says(out, `127\.0\.0\.1:`+port+`/TCP is this machine, and the process that listens there may not be inspected, `+
			`so a policy has the address: Peer\("127\.0\.0\.1:`+port+`", "name:8080"\)`)
		u.says(u.golden(), `cidr: 127\.0\.0\.1/32`)
	}
}

// unprivileged returns a user other than root: in the group of the engine's socket, with the capabilities of
// docs/privileges.md and a cgroup of its own, and with nothing else.
func unprivileged(t *testing.T) user {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "setpriv", "util-linux")
	// t.TempDir is below a directory that only root may enter.
	above, err := os.MkdirTemp("", "unprivileged")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(above) })
	dir := filepath.Join(above, "shop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{above, dir} {
		if err := os.Chown(path, nobody, -1); err != nil {
			t.Fatal(err)
		}
	}
	return user{t, dir, newDelegated(t)}
}

// nobody is the user ID of an account without rights.
const nobody = 65534

// delegated is a cgroup that belongs to the user.
type delegated struct{ dir *os.File }

func newDelegated(t *testing.T) *delegated {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	parent, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(parent, "e2e-unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("the user's cgroup is not empty: %v", err)
		}
	})
	for _, file := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(dir, file), nobody, -1); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &delegated{f}
}

// demote makes a command that runs this test binary as root run as the user, in the user's cgroup.
func (d *delegated) demote(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	binary, err := readableBinary()
	if err != nil {
		t.Fatal(err)
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal(err)
	}
	group, err := engineGroup()
	if err != nil {
		t.Fatal(err)
	}
	id, capabilities := strconv.Itoa(nobody), "-all,+bpf,+net_admin,+perfmon"
	cmd.Path = setpriv
	cmd.Args = append([]string{"setpriv", "--reuid=" + id, "--regid=" + group, "--clear-groups",
		"--inh-caps=" + capabilities, "--ambient-caps=" + capabilities, binary}, cmd.Args[1:]...)
	cmd.Env = append(cmd.Env, "HOME="+cmd.Dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(d.dir.Fd())}
}

// engineGroup returns the group of the users of the engine.
func engineGroup() (string, error) {
	socket, err := os.Stat("/var/run/docker.sock")
	if err != nil {
		return "", err
	}
	return fmt.Sprint(socket.Sys().(*syscall.Stat_t).Gid), nil
}

// readableBinary copies this test binary to a place where every user may run it.
var readableBinary = sync.OnceValues(func() (string, error) {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer from.Close()
	dir, err := os.MkdirTemp("", "containers")
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	binaries = append(binaries, dir)
	path := filepath.Join(dir, "containers.test")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		return "", err
	}
	return path, to.Close()
})

// binaries are the directories of copies, which TestMain removes.
var binaries []string
