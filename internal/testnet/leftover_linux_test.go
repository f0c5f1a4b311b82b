package testnet

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// identity distinguishes a network namespace from a later one with the same inode number.
type identity struct {
	inode  string // "net:[4026532000]"
	cookie uint64
}

func identify(tb testing.TB, ns *namespace) identity {
	tb.Helper()
	inode, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", ns.file.Fd()))
	if err != nil {
		tb.Fatal(err)
	}
	cookie, err := cookieOf(ns.path())
	if err != nil {
		tb.Fatal(err)
	}
	return identity{inode, cookie}
}

func cookieOf(path string) (cookie uint64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	err = (&namespace{file}).do(func() error {
		socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(socket)
		cookie, err = unix.GetsockoptUint64(socket, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
		return err
	})
	return cookie, err
}

// holders are the paths in /proc through which a process keeps the namespace alive.
func (id identity) holders() []string {
	var found []string
	for _, pattern := range []string{"/proc/[0-9]*/ns/net", "/proc/[0-9]*/task/*/ns/net", "/proc/[0-9]*/fd/*"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			link, err := os.Readlink(path)
			if err != nil || link != id.inode {
				continue
			}
			if cookie, err := cookieOf(path); err == nil && cookie == id.cookie {
				found = append(found, path)
			}
		}
	}
	return found
}

// eventually waits for what to become empty.
func eventually(tb testing.TB, reason string, what func() []string) {
	tb.Helper()
	const patience = 20 * time.Second
	var last []string
	for start := time.Now(); time.Since(start) < patience; time.Sleep(5 * time.Millisecond) {
		if last = what(); len(last) == 0 {
			return
		}
	}
	tb.Errorf("%s, after %s: %q", reason, patience, last)
}

// tracesOnTheMachine are a lab's links and mounts in the machine's own namespaces.
func tracesOnTheMachine() []string {
	var found []string
	links, err := netlink.LinkList()
	if err != nil {
		return []string{err.Error()}
	}
	for _, link := range links {
		if mac := link.Attrs().HardwareAddr; bytes.Equal(mac, insideMAC) || bytes.Equal(mac, outsideMAC) {
			found = append(found, link.Attrs().Name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "testnet") ||
			strings.Contains(line, "/etc/resolv.conf") && strings.Contains(line, " tmpfs ") {
			found = append(found, line)
		}
	}
	return found
}

func TestLab_NothingLeft(t *testing.T) {
	var ids []identity
	var pids string
	t.Run("lab", func(t *testing.T) {
		lab, _ := internet(t)
		ids = []identity{identify(t, lab.wire.insideNS), identify(t, lab.wire.outsideNS)}
		for _, id := range ids {
			if len(id.holders()) == 0 {
				t.Error("no process seems to hold the namespace of an open lab, so the test proves nothing")
			}
		}
		if got := output(t, program(t, lab, "echo", "tcp", "api.pay.test:5432")); got != "hello" {
			t.Errorf("got %q", got)
		}
		// One process that left its session, one that ignores all possible signals, one that keeps forking.
		pids = output(t, lab.Command(t.Context(), "sh", "-c", `exec 3>&1 >/dev/null 2>&1 </dev/null
			setsid sleep 1000 3>&- & echo $! >&3
			( trap '' TERM INT HUP; exec 3>&-; while :; do sleep 1000; done ) & echo $! >&3
			( exec 3>&-; while :; do sleep 0.001; done ) & echo $! >&3
			exec 3>&-`))
		for _, pid := range strings.Fields(pids) {
			if _, err := os.Stat("/proc/" + pid); err != nil {
				t.Errorf("background process %s does not run: the test tests nothing", pid)
			}
		}
	})
	for _, pid := range strings.Fields(pids) {
		status, err := os.ReadFile("/proc/" + pid + "/stat")
		if err == nil && !strings.Contains(string(status), ") Z ") {
			t.Errorf("process outlives its lab: %s", status)
		}
	}
	for _, id := range ids {
		eventually(t, "a namespace outlives its lab", id.holders)
	}
	eventually(t, "traces of the lab on the machine", tracesOnTheMachine)
}

func TestLab_ParallelLabs(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for n := range 20 {
		group.Go(func() {
			lab, err := Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() {
				if err := lab.Close(); err != nil {
					t.Error(err)
				}
			}()
			// Every lab has the same address, and each client reaches its own server.
			word := fmt.Sprintf("lab %d", n)
			if _, err := lab.ServeTCP("203.0.113.7:1", func(conn net.Conn) { conn.Write([]byte(word)) }); err != nil {
				t.Error(err)
				return
			}
			cmd := lab.Command(t.Context(), os.Args[0], "tcp", "203.0.113.7:1")
			cmd.Env = append(os.Environ(), "TESTNET_PROGRAM=echo")
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != word {
				t.Errorf("got %q (%v), want %q", out, err, word)
			}
		})
	}
	group.Wait()
}

func TestLab_NoDescriptorLeak(t *testing.T) {
	count := func() int {
		descriptors, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(descriptors)
	}
	once := func() {
		lab, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lab.ServeSilent("203.0.113.7:1"); err != nil {
			t.Error(err)
		}
		conn, err := lab.DialContext(t.Context(), "tcp", "203.0.113.7:1")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	}
	New(t) // for its check of the privileges
	once() // its first use opens the runtime's poller
	before := count()
	for range 5 {
		once()
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func BenchmarkLab(b *testing.B) {
	New(b)
	for b.Loop() {
		lab, err := Open()
		if err != nil {
			b.Fatal(err)
		}
		if err := lab.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
