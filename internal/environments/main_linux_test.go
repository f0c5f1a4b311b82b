package environments

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/command"
)

// These variables name the faults that the test binary applies first, and its role afterwards.
const (
	faultsVariable = "ENVIRONMENTS_FAULTS"
	actVariable    = "ENVIRONMENTS_ACT"
)

// child is true in a user's test binary, which the tests start.
var child = os.Getenv(actVariable) != ""

// The faults apply to this thread, and so to the program that it starts.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	if names := os.Getenv(faultsVariable); names != "" {
		fmt.Fprintln(os.Stderr, inject(names))
		os.Exit(125)
	}
	switch act := os.Getenv(actVariable); act {
	case "":
	case "test":
		if err := unix.Dup3(1, 2, 0); err != nil { // one stream, as from go test
			fmt.Println(err)
			os.Exit(125)
		}
		os.Args = []string{os.Args[0], "-test.v", "-test.run=^TestRecorded$"}
	case "doctor":
		os.Exit(command.Main([]string{"doctor", "-here"}))
	case "serve":
		fmt.Fprintln(os.Stderr, serve())
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "%s=%s\n", actVariable, act)
		os.Exit(125)
	}
	os.Exit(m.Run())
}

// inject restricts this process's rights and its view of the machine, and restarts the program. It returns only on
// failure.
func inject(names string) error {
	for name := range strings.SplitSeq(names, ",") {
		name, argument, _ := strings.Cut(name, "=")
		f, ok := faults[name]
		if !ok {
			return fmt.Errorf("inject faults: unknown fault %q", name)
		}
		if err := f(argument); err != nil {
			return fmt.Errorf("inject fault %s: %w", name, err)
		}
	}
	if err := os.Unsetenv(faultsVariable); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}

// serve accepts connections until it is killed.
func serve() error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return errors.Join(err, l.Close())
		}
		c.Close()
	}
}
