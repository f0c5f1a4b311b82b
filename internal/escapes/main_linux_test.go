package escapes

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The roles of this binary in addition to the tests of this package.
const (
	asVariable = "ESCAPES_AS"
	asUser     = "user"    // the user's test binary; its tests are the ways
	asProgram  = "program" // one way without a recording; its early part runs before a line of input

	waysVariable   = "ESCAPES_WAYS"   // the names of ways, one in each line
	lenderVariable = "ESCAPES_LENDER" // the Unix socket of the lender
)

// childArgument makes this binary a process that a way starts, in any environment. The arguments after it are the
// action, the addresses of its host, and optionally the process to wait for.
const childArgument = "escapes-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 4 && os.Args[1] == childArgument {
		os.Exit(status(runChild(os.Args[2], os.Args[3:])))
	}
	switch as := os.Getenv(asVariable); as {
	case "":
		os.Exit(m.Run())
	case asUser:
		// This does the same as the generated main function of a test binary, with other tests.
		testing.Main(regexp.MatchString, userTests(), nil, nil)
	case asProgram:
		os.Exit(status(runProgram()))
	default:
		os.Exit(status(fmt.Errorf("unknown %s=%s", asVariable, as)))
	}
}

func status(err error) int {
	var lacking errNone
	if errors.As(err, &lacking) {
		fmt.Fprintln(os.Stderr, lacking.reason)
		return statusNone
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// statusNone is the exit code for a feature that the kernel lacks.
const statusNone = 77

// runProgram runs one way without a recording.
func runProgram() error {
	name := os.Getenv(waysVariable)
	open, err := findWay(name).start(hostOf(name))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("await the word: %w", err)
	}
	return open()
}

// runChild runs a child's action on a host.
func runChild(what string, args []string) error {
	do, known := children[what]
	if !known {
		return fmt.Errorf("unknown child %q", what)
	}
	to := host{netip.MustParseAddr(args[0]), netip.MustParseAddr(args[1])}
	for len(args) > 2 && args[2] == fmt.Sprint(os.Getppid()) {
		time.Sleep(time.Millisecond)
	}
	if err := do(to); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// self returns a command that runs this binary as a child, with an action and a host as arguments, in this process's
// environment.
func self(what string, to host) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", childArgument, what, to.v4.String(), to.v6.String())
	cmd.Args[0] = filepath.Base(os.Args[0])
	return cmd
}

// run runs a command to its end.
func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == statusNone {
		return errNone{strings.TrimSpace(string(out))}
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
