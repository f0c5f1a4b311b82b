package recorded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The roles of this binary as a process that the user's tests start.
const (
	asChild  = "child"  // opens the flows in OPEN
	asOrphan = "orphan" // the same, once the process that started it has ended
	asEarly  = "early"  // the same, on a signal from its parent
	asServer = "server" // serves at an address until its parent ends it

	openVariable = "OPEN"
	atVariable   = "RECORDED_AT"
)

// patience is long: CPUs of guests are slow, and machines that run many tests at once are, too.
const patience = 30 * time.Second

// open opens the flows that words name, one after another:
//
//	tcp/api.pay.test:443     a connection or a datagram, with an answer; also tcp6 and similar networks
//	lookup/api.pay.test      only a lookup of the name
//	meet/203.0.113.12:1000   a connection that the other end closes
//	child/WORD               a child process opens WORD
//	orphan/WORD              a child's child opens WORD after the child has ended
//	early/                   the child that is older than the recording opens the flows in EARLY
//	test/WORD                a test binary with a recording opens WORD; its package is in innerDir
func open(words string) error {
	for word := range strings.FieldsSeq(words) {
		how, what, _ := strings.Cut(word, "/")
		var err error
		switch how {
		case "lookup":
			_, err = net.LookupHost(what)
		case "meet":
			err = meet(what)
		case asChild:
			err = runSelf(asChild, what)
		case asOrphan:
			err = leaveOrphan(what)
		case asEarly:
			err = signalEarly()
		case "test":
			err = runInner(what)
		default:
			err = talk(how, what)
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", word, err)
		}
	}
	return nil
}

// talk sends a word to an address and awaits the echo.
func talk(network, address string) error {
	conn, err := net.DialTimeout(network, address, patience)
	if err != nil {
		return err
	}
	return exchange(conn)
}

// exchange sends a word, awaits the echo and closes.
func exchange(conn net.Conn) error {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	word := []byte("hello")
	if _, err := conn.Write(word); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, word)
	return err
}

func meet(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

// runChild is the main function of the processes that the user's tests start.
func runChild(as string) int {
	var err error
	switch as {
	case asOrphan:
		if os.Getenv("PARENT") == "" {
			err = startOrphan()
			break
		}
		for fmt.Sprint(os.Getppid()) == os.Getenv("PARENT") {
			time.Sleep(time.Millisecond)
		}
		err = open(os.Getenv(openVariable))
	case asEarly:
		if _, err = bufio.NewReader(os.Stdin).ReadString('\n'); err == nil {
			err = open(os.Getenv(openVariable))
		}
	case asServer:
		err = serveUntilClosed(os.Getenv(atVariable))
	default:
		err = open(os.Getenv(openVariable))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", as, err)
		return 1
	}
	return 0
}

func runSelf(as, words string) error {
	if out, err := self(as, openVariable+"="+words).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// leaveOrphan returns when the orphan has ended: the orphan inherits the output, so reading it ends with the orphan.
func leaveOrphan(words string) error {
	cmd := self(asOrphan, openVariable+"="+words)
	out, err := cmd.CombinedOutput() // the orphan inherits the output
	if err != nil || len(out) > 0 {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
}

func startOrphan() error {
	orphan := self(asOrphan, fmt.Sprintf("PARENT=%d", os.Getpid()))
	orphan.Stdout, orphan.Stderr = os.Stdout, os.Stderr
	orphan.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return orphan.Start()
}

// early is the child that is older than the recording.
var early struct {
	*exec.Cmd
	stdin io.Writer
}

func startEarly(words string) error {
	early.Cmd = self(asEarly, openVariable+"="+words)
	early.Stderr = os.Stderr
	stdin, err := early.StdinPipe()
	if err != nil {
		return err
	}
	early.stdin = stdin
	return early.Start()
}

func signalEarly() error {
	_, err := io.WriteString(early.stdin, "go\n")
	return errors.Join(err, early.Wait())
}

// innerDir is the directory of the inner test's package.
const innerDir = "inner/shop"

// runInner runs an inner test, which writes its own golden file.
func runInner(words string) error {
	if err := os.MkdirAll(innerDir, 0o755); err != nil {
		return err
	}
	inner := self(asUser, openVariable+"="+words, "EARLY=")
	inner.Args = append(inner.Args, "-test.paniconexit0", "-test.run=^TestShop$", "-update")
	inner.Dir = innerDir
	if out, err := inner.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// connectAll starts to connect to n ports of a host. It needs no part of Go's runtime, not even stack growth, so a
// process that was forked without exec may call it.
//
//go:nosplit
//go:norace
func connectAll(host [4]byte, first, n uint16) syscall.Errno {
	address := syscall.RawSockaddrInet4{Family: syscall.AF_INET, Addr: host}
	for port := first; port < first+n; port++ {
		address.Port = port<<8 | port>>8 // in network byte order
		fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
		if errno != 0 {
			return errno
		}
		syscall.RawSyscall(syscall.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&address)), unsafe.Sizeof(address))
		syscall.RawSyscall(syscall.SYS_CLOSE, fd, 0, 0)
	}
	return 0
}

// forkAndConnect starts a copy of this process, with one thread and without exec. The copy starts to connect to a port.
//
//go:nosplit
//go:norace
func forkAndConnect(host [4]byte, port uint16) (pid int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if r != 0 || errno != 0 {
		return int(r), errno
	}
	errno = connectAll(host, port, 1)
	syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	return 0, errno // never
}
