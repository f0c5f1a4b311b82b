package probe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
)

// act runs acts in turn, as a child process:
//
// "tcp 127.0.0.1:80" connects. "udp" sends from one unconnected socket, "udp-connected" from one connected socket.
// "stream" writes to one TCP connection. "ask" sends a DNS question and waits for the answer. "listen" listens for TCP.
// "ping" and "pong" send an ICMP echo request and reply from a raw socket. "kernel" makes the kernel of a network
// namespace send. "wait" prints its name and waits for a line. The acts of descend run further acts in a descendant.
// "leave" runs one in another pid namespace and cgroup. "enter" moves to a cgroup.
//
// These use descriptor 3: "give" opens a socket and passes it on (sockets_linux_test.go), "take" connects a socket that
// is passed to it, "write" writes to a connection, and "reply" sends an ICMP echo reply from a raw socket.
func act(acts []string) int {
	unconnected := -1
	connected := make(map[string]net.Conn)
	stdin := bufio.NewReader(os.Stdin)
	for _, a := range acts {
		verb, address, _ := strings.Cut(a, " ")
		var err error
		switch verb {
		case "tcp":
			var c net.Conn
			if c, err = net.Dial("tcp", address); err == nil {
				err = c.Close()
			}
		case "udp":
			if unconnected < 0 { // package net would bind it first
				unconnected, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			}
			if err == nil {
				to := netip.MustParseAddrPort(address)
				err = unix.Sendto(unconnected, []byte("x"), 0, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
			}
		case "udp-connected":
			if connected[address] == nil {
				connected[address], err = net.Dial("udp4", address)
			}
			if err == nil {
				_, err = connected[address].Write([]byte("x"))
			}
		case "ask":
			var c net.Conn
			if c, err = net.Dial("udp4", address); err == nil {
				_, err = c.Write(question(queriedName))
			}
			if err == nil {
				_, err = c.Read(make([]byte, 65536))
			}
		case "listen":
			_, err = net.Listen("tcp", address) // until the process ends
		case "ping":
			err = sendICMP(netip.MustParseAddr(address), []byte{8, 0, 0xf7, 0xfd, 0, 1, 0, 1})
		case "pong":
			err = sendICMP(netip.MustParseAddr(address), []byte{0, 0, 0xff, 0xfd, 0, 1, 0, 1})
		case "give":
			err = give(address)
		case "take":
			err = take(netip.MustParseAddrPort(address))
		case "reply":
			err = unix.Sendto(3, echoReply, 0, &unix.SockaddrInet4{Addr: netip.MustParseAddr(address).As4()})
		case "write":
			_, err = unix.Write(3, []byte("hello"))
		case "stream":
			if connected[address] == nil {
				connected[address], err = net.Dial("tcp", address)
			}
			if err == nil {
				_, err = connected[address].Write([]byte("hello"))
			}
		case "kernel":
			err = haveKernelSend()
		case "spawn", "orphan", "outlive":
			err = descend(verb, address)
		case "leave":
			err = leave(address)
		case "enter":
			err = os.WriteFile(filepath.Join(address, "cgroup.procs"), []byte("0"), 0)
		case "wait":
			fmt.Println(verb)
			_, err = stdin.ReadString('\n')
		default:
			err = errors.New("unknown")
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", a, err)
			return 1
		}
	}
	return 0
}

func sendICMP(to netip.Addr, message []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, message, 0, &unix.SockaddrInet4{Addr: to.As4()})
}

// group is a cgroup that a test creates.
type group struct {
	t   testing.TB
	dir string
	id  uint64
}

// newGroup creates a cgroup in a directory of the tree. It is removed after the test, unless the test removes it.
func newGroup(t testing.TB, dir string) group {
	t.Helper()
	check(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	id, err := cgroup.ID(dir)
	check(t, err)
	return group{t, dir, id}
}

// sibling creates a cgroup next to the leaf, as those of containers are: not nested in a watched cgroup.
func (r *rig) sibling(name string) group {
	r.t.Helper()
	return newGroup(r.t, filepath.Join(filepath.Dir(r.leaf.Path), fmt.Sprintf("probe-test-%d-%s", os.Getpid(), name)))
}

func (g group) remove() {
	g.t.Helper()
	check(g.t, os.Remove(g.dir))
}

// run starts a child in the cgroup, and waits until it exits.
func (g group) run(acts ...string) {
	g.t.Helper()
	cmd, done := g.command(acts)
	defer done()
	check(g.t, cmd.Run())
}

func (g group) command(acts []string) (cmd *exec.Cmd, done func()) {
	g.t.Helper()
	self, err := os.Executable()
	check(g.t, err)
	dir, err := os.Open(g.dir)
	check(g.t, err)
	cmd = exec.Command(self)
	cmd.Env = append(os.Environ(), "PROBE_TEST_ACTS="+strings.Join(acts, ","))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	return cmd, func() { dir.Close() }
}

// start starts a child in the cgroup. The result lets it continue, to its next "wait" or its exit.
func (g group) start(acts ...string) (goOn func()) {
	g.t.Helper()
	cmd, done := g.command(acts)
	defer done()
	in, err := cmd.StdinPipe()
	check(g.t, err)
	out, err := cmd.StdoutPipe()
	check(g.t, err)
	check(g.t, cmd.Start())
	lines := bufio.NewReader(out)
	next := func() {
		g.t.Helper()
		_, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = cmd.Wait()
		}
		check(g.t, err)
	}
	next()
	return func() {
		g.t.Helper()
		_, err := io.WriteString(in, "go on\n")
		check(g.t, err)
		next()
	}
}

// queriedName is the name that the act "ask" queries.
const queriedName = "db.test."

// question returns a DNS query for the addresses of a name.
func question(name string) []byte {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{})
	q := dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	if b.StartQuestions() != nil || b.Question(q) != nil {
		return nil
	}
	text, _ := b.Finish() // nil on error
	return text
}
