package endpoint

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// childRole is the role of the test binary as a child process.
const childRole = "NETZERO_ENDPOINT_TEST_CHILD"

// The main goroutine keeps the main thread for itself: /proc/self shows the main thread, and a test that changes its
// thread must not change what other tests see.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		if err := beChild(role, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beChild plays a role, prints one line when it is ready, and ends with its standard input.
func beChild(role string, args []string) error {
	ready := "ready"
	switch role {
	case "wait":
	case "serve": // <flags> <network> <address>
		addr, err := serve(args[0], args[1], args[2])
		if err != nil {
			return err
		}
		ready = addr
	case "spawn": // a process that waits, below this one
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), childRole+"=wait")
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		defer cmd.Wait()
		defer in.Close()
		ready = strconv.Itoa(cmd.Process.Pid)
	case "nest": // <depth>: so many processes below this one, each the parent of the next
		depth, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		ready = strconv.Itoa(os.Getpid())
		if depth > 0 {
			cmd := exec.Command("/proc/self/exe", strconv.Itoa(depth-1))
			in, err := cmd.StdinPipe()
			if err != nil {
				return err
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			if err := cmd.Start(); err != nil {
				return err
			}
			defer cmd.Wait()
			defer in.Close()
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				return err
			}
			ready += " " + strings.TrimSpace(line)
		}
	case "address": // <address>: gets it, on the loopback interface of the network namespace that the parent made
		if out, err := exec.Command("ip", "address", "add", args[0], "dev", "lo").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	case "starve": // <children>: without file descriptors, the descendants that it still finds
		if args[0] != "0" {
			in := exec.Command("sleep", "60")
			if err := in.Start(); err != nil {
				return err
			}
			defer in.Wait()
			defer in.Process.Kill()
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		limit.Cur = 0
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		pids, err := Descendants(os.Getpid())
		ready = fmt.Sprintf("%d, failed: %t", len(pids), err != nil)
	case "look": // <network> <address>: what this user sees there
		l, err := readListeners(0)
		if err != nil {
			return err
		}
		addr, err := net.ResolveTCPAddr("tcp", args[0])
		if err != nil {
			return err
		}
		found := l.At(flow.TCP, addr.AddrPort().Addr(), uint16(addr.Port))
		ready = fmt.Sprintf("%v %v cgroup %d", found.Owners, found.Unknown, cgroupOf(flow.TCP, found.Hidden))
	case "connect": // <sockets>: a connection within the network namespace that the parent made, of which some stay open
		open, err := connect(args[0])
		if err != nil {
			return err
		}
		defer func() {
			for _, socket := range open {
				socket.Close()
			}
		}()
	case "inside": // <pid>: how this user sees that the process was started
		pid, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		parents, exec := Inside(pid)
		ready = fmt.Sprintf("%q %q", parents, exec)
	case "mount": // <file>: over /etc/resolv.conf, in the mount namespace that the parent made
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return err
		}
		if err := unix.Mount(args[0], "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
			return err
		}
	case "chroot": // <directory>
		if err := unix.Chroot(args[0]); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no such role")
	}
	fmt.Println(ready)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// child is a process that a test started.
type child struct {
	pid  int
	line string // its output when it was ready
	stop func() // ends it and waits; may be called again
}

// start starts the test binary in a role and waits until it is ready. It ends with the test.
func start(t testing.TB, role string, args ...string) child {
	t.Helper()
	c, err := tryStart(t, testBinary(t), func(*exec.Cmd) {}, role, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryStart(t testing.TB, exe string, change func(*exec.Cmd), role string, args ...string) (child, error) {
	cmd := exec.Command(exe, args...)
	// With the race detector every child would sleep for a second at its end.
	cmd.Env = append(os.Environ(), childRole+"="+role, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return child{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return child{}, err
	}
	change(cmd)
	if err := cmd.Start(); err != nil {
		return child{}, err
	}
	stopped := false
	c := child{pid: cmd.Process.Pid}
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		in.Close()
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Wait()
	}
	t.Cleanup(c.stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.stop()
		return child{}, fmt.Errorf("start %s %v: %w: %s", role, args, err, stderr.String())
	}
	c.line = strings.TrimSuffix(line, "\n")
	return c, nil
}

func testBinary(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// copyBinary copies the test binary with another name into a directory that every user may enter.
func copyBinary(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "endpoint")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, name)
	if err := os.Link(testBinary(t), to); err == nil {
		return to
	}
	from, err := os.Open(testBinary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, from)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}
