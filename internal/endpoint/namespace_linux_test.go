package endpoint

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// unshare starts a child in new namespaces.
func unshare(flags uintptr) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags} }
}

func TestListeners_OtherNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Recorded(t, "listening processes in another network namespace")
	// Our listener takes the port, so that no other process in our namespace has it.
	_, ours := listen(t, "tcp", "127.0.0.1:0")
	c, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "serve", "lo", "tcp", ours.String())
	if err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]int{c.pid: c.pid, os.Getpid(): os.Getpid(), 0: os.Getpid()} {
		l, err := readListeners(pid)
		if err != nil {
			t.Fatal(err)
		}
		got := l.At(flow.TCP, ours.Addr(), ours.Port())
		if diff := cmp.Diff(listening{Owners: []Owner{{want, "endpoint.test"}}}, got); diff != "" {
			t.Errorf("in the namespace of %d (-want +got):\n%s", pid, diff)
		}
	}

	id := New(Config{Workload: "orders"})
	q := Query{PID: c.pid, Protocol: flow.TCP, Addr: ours.Addr(), Port: ours.Port()}
	if got := id.Identify(q); got.Relation != Self {
		t.Errorf("its own loopback: got %v, want self", got.Relation)
	}
	b := id.Batch()
	q.PID = start(t, "wait").pid
	if got := b.Identify(q); got.Relation != Self {
		t.Errorf("a child in our namespace: got %v, want self, the test process", got.Relation)
	}
	q.PID = c.pid
	c2, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "serve", "lo", "tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	q.PID = c2.pid
	if got := b.Identify(q); got.Relation != NoListener {
		t.Errorf("a third namespace: got %v, want no owner", got.Relation)
	}
}

func TestIdentify_LocalAddressFromOtherNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	own := ownAddr(t)
	_, ours := listen(t, "tcp", netip.AddrPortFrom(own, 0).String())
	// The wildcard listener of its namespace must not be mistaken for the listener at an address of ours.
	c, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "serve", "lo", "tcp4",
		netip.AddrPortFrom(netip.IPv4Unspecified(), ours.Port()).String())
	if err != nil {
		t.Fatal(err)
	}
	q := Query{PID: c.pid, Protocol: flow.TCP, Addr: own, Port: ours.Port()}
	if got := New(Config{Self: start(t, "wait").pid}).Identify(q); got.Relation != Other ||
		got.Endpoint.Name != "endpoint-test" {
		t.Errorf("got %+v, want the process of this namespace", got)
	}
}

// ownAddr returns an IPv4 address of this machine that is not loopback.
func ownAddr(t *testing.T) netip.Addr {
	t.Helper()
	local, err := readLocalAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for a := range local {
		if a.Is4() && !a.IsLoopback() {
			return a
		}
	}
	if testenv.Required() {
		t.Fatal("this machine has no IPv4 address but loopback")
	}
	t.Skip("this machine has no IPv4 address but loopback")
	return netip.Addr{}
}

func TestListeners_OtherUser(t *testing.T) {
	testenv.RequireRoot(t)
	exe := copyBinary(t, "look")
	look := func(uid uint32, address string) string {
		t.Helper()
		c, err := tryStart(t, exe, func(cmd *exec.Cmd) {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			cmd.Dir = "/"
		}, "look", address)
		if err != nil {
			t.Fatal(err)
		}
		c.stop()
		return c.line
	}
	l, addr := listen(t, "tcp", "127.0.0.1:0")
	const nobody = 65534
	if got, want := look(nobody, addr.String()), fmt.Sprintf("[] true cgroup %d", ownCgroup(t)); got != want {
		t.Errorf("as another user: got %s, want %s", got, want)
	}
	if got, not := look(0, addr.String()), "[] "; strings.HasPrefix(got, not) {
		t.Errorf("as root: got %s, want an owner", got)
	}
	l.Close()
	if got, want := look(nobody, addr.String()), "[] false cgroup 0"; got != want {
		t.Errorf("as another user, no process listens: got %s, want %s", got, want)
	}
}

// ownCgroup returns the ID of this process's cgroup.
func ownCgroup(t *testing.T) uint64 {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	id, err := cgroup.ID(dir)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestResolvers_PerProcess(t *testing.T) {
	testenv.RequireRoot(t)
	dir := t.TempDir()
	write := func(path, text string) string {
		t.Helper()
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mounted := write("mounted.conf", "nameserver 203.0.113.53\n")
	c, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNS), "mount", mounted)
	if err != nil {
		t.Fatal(err)
	}
	// An absolute link is resolved from the process's root, which has the file, not from ours, which has not.
	write("root/run/netzero-endpoint-test/stub.conf", "nameserver 198.51.100.53\n")
	if err := os.Mkdir(filepath.Join(dir, "root/etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/run/netzero-endpoint-test/stub.conf",
		filepath.Join(dir, "root/etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	rooted := start(t, "chroot", filepath.Join(dir, "root"))

	var r Resolvers
	check := func(pid int, addr string, want bool, reason string) {
		t.Helper()
		for range 2 { // read, cached
			if got := r.isResolver(pid, netip.MustParseAddr(addr), 53); got != want {
				t.Errorf("%s: isResolver(%d, %s) = %v, want %v", reason, pid, addr, got, want)
			}
		}
	}
	check(c.pid, "203.0.113.53", true, "its own mount")
	check(c.pid, "::ffff:203.0.113.53", true, "its own mount, mapped")
	check(c.pid, "198.51.100.53", false, "another process's server")
	check(rooted.pid, "198.51.100.53", true, "its own root, by an absolute link")
	check(rooted.pid, "203.0.113.53", false, "another process's server")
	check(os.Getpid(), "203.0.113.53", false, "not ours")
	check(0, "198.51.100.53", false, "not ours")

	write("mounted.conf", "nameserver 203.0.113.54\n# longer than before\n")
	check(c.pid, "203.0.113.54", true, "the file has changed")
	check(c.pid, "203.0.113.53", false, "the file has changed")

	last := "nameserver 203.0.113.123\n"
	long := "nameserver 203.0.113.55\n" + strings.Repeat("#",
		maxResolvConf-len("nameserver 203.0.113.55\n\n")-len(last)+2) + "\n" + last
	write("mounted.conf", long) // cut within the last address
	check(c.pid, "203.0.113.55", true, "a long file")
	check(c.pid, "203.0.113.12", false, "a part of an address")
	write("mounted.conf", "nameserver 203.0.113.54\n")

	q := Query{PID: c.pid, Protocol: flow.UDP, Addr: netip.MustParseAddr("203.0.113.54"), Port: 53, Name: "dns.example"}
	want := resolverAt("203.0.113.54")
	if got := New(Config{}).Identify(q); got.Endpoint != want || got.Relation != Other {
		t.Errorf("Identify = %+v, want %+v", got, want)
	}
	c.stop()
	check(c.pid, "203.0.113.54", false, "a process that is gone sees what we see")
}

// An address of one network namespace may be another host's in the next one.
func TestIdentify_OtherNamespace(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "ip", "iproute2")
	own := ownAddr(t)
	_, ours := listen(t, "tcp", netip.AddrPortFrom(own, 0).String())
	without, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "wait")
	if err != nil {
		t.Fatal(err)
	}
	with, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "address", own.String()+"/32")
	if err != nil {
		t.Fatal(err)
	}
	with6, err := tryStart(t, testBinary(t), unshare(syscall.CLONE_NEWNET), "address", "2001:db8::9/128")
	if err != nil {
		t.Fatal(err)
	}
	gone := start(t, "wait")
	gone.stop()
	here := start(t, "wait").pid
	bare := flow.Endpoint{Kind: flow.Address, Addr: own}
	named := flow.Endpoint{Kind: flow.External, Name: "db.partner.test", Addr: own, Evidence: flow.ByDNS}
	for _, tt := range []struct {
		reason string
		q      Query
		want   Relation
		end    flow.Endpoint
	}{
		{"here: the test process listens", Query{PID: here, Protocol: flow.TCP, Port: ours.Port()}, Self,
			flow.Endpoint{}},
		{"here: no process listens", Query{PID: here, Protocol: flow.TCP, Port: 9}, NoListener, flow.Endpoint{}},
		{"another host, and the test process listens here",
			Query{PID: without.pid, OtherNetwork: true, Protocol: flow.TCP, Port: ours.Port()}, Other, bare},
		{"another host, and no process listens here",
			Query{PID: without.pid, OtherNetwork: true, Protocol: flow.TCP, Port: 9}, Other, bare},
		{"another host by its name", Query{PID: without.pid, OtherNetwork: true, Protocol: flow.TCP, Port: 9,
			Name: "db.partner.test"}, Other, named},
		{"another host, of a process that is gone",
			Query{PID: gone.pid, OtherNetwork: true, Protocol: flow.TCP, Port: ours.Port()}, Other, bare},
		{"of a thread that was elsewhere", Query{PID: here, OtherNetwork: true, Protocol: flow.TCP, Port: ours.Port()},
			Other, bare},
		{"its own address, without a listener",
			Query{PID: with.pid, OtherNetwork: true, Protocol: flow.TCP, Port: ours.Port()}, NoListener,
			flow.Endpoint{}},
		{"a ping to another host", Query{PID: without.pid, OtherNetwork: true, Protocol: flow.ICMP}, Other, bare},
		{"a ping to its own address", Query{PID: with.pid, OtherNetwork: true, Protocol: flow.ICMP}, Self,
			flow.Endpoint{}},
		{"a ping from an unknown namespace", Query{MaybeOtherNetwork: true, Protocol: flow.ICMP}, Other, bare},
		{"a ping from an unknown namespace, by a process that is gone",
			Query{PID: gone.pid, MaybeOtherNetwork: true, Protocol: flow.ICMP}, Other, bare},
		{"a ping from an unknown namespace, by a process elsewhere",
			Query{PID: without.pid, MaybeOtherNetwork: true, Protocol: flow.ICMP}, Other, bare},
		{"a ping from an unknown namespace, by a process that is here",
			Query{PID: here, MaybeOtherNetwork: true, Protocol: flow.ICMP}, Self, flow.Endpoint{}},
		{"a datagram from an unknown namespace", Query{MaybeOtherNetwork: true, Protocol: flow.UDP, Port: 9}, Other,
			bare},
	} {
		tt.q.Addr = own
		got := New(Config{Workload: "orders"}).Identify(tt.q)
		if got.Relation != tt.want || tt.want == Other && got.Endpoint != tt.end {
			t.Errorf("%s: got %v %+v, want %v %+v", tt.reason, got.Relation, got.Endpoint, tt.want, tt.end)
		}
	}
	six := Query{PID: with6.pid, OtherNetwork: true, Protocol: flow.TCP, Addr: netip.MustParseAddr("2001:db8::9"),
		Port: 9}
	if got := New(Config{}).Identify(six); got.Relation != NoListener || !got.Local {
		t.Errorf("its own IPv6 address: got %+v", got)
	}
	for _, c := range []child{without, with, with6} {
		c.stop()
	}
}
