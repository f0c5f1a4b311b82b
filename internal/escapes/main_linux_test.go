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
)

// What this binary is, if not the tests of this package.
const (
	asVariable = "ESCAPES_AS"
	asUser     = "user"    // the user's test binary, whose tests are the ways
	asProgram  = "program" // one way, without a recording: what is there before, a line, and when told so the rest
	asChild    = "child"   // a process that a way starts

	waysVariable   = "ESCAPES_WAYS"   // their names, one a line
	childVariable  = "ESCAPES_CHILD"  // what the child does
	hostVariable   = "ESCAPES_HOST"   // the addresses of its host
	lenderVariable = "ESCAPES_LENDER" // the Unix socket of the lender
)

func TestMain(m *testing.M) {
	switch as := os.Getenv(asVariable); as {
	case "":
		os.Exit(m.Run())
	case asUser:
		// What the generated main function of a test binary does, with other tests.
		testing.Main(regexp.MatchString, userTests(), nil, nil)
	case asProgram:
		os.Exit(status(runProgram()))
	case asChild:
		os.Exit(status(runChild()))
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

// statusNone is the exit code that says that the kernel lacks a feature.
const statusNone = 77

// runProgram is one way without a recording.
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

// runChild does what childVariable says.
func runChild() error {
	what := os.Getenv(childVariable)
	do, known := children[what]
	if !known {
		return fmt.Errorf("unknown %s=%s", childVariable, what)
	}
	v4, v6, _ := strings.Cut(os.Getenv(hostVariable), " ")
	to := host{netip.MustParseAddr(v4), netip.MustParseAddr(v6)}
	if err := do(to); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// self is this binary as a child, which is told what to do and with which host.
func self(what string, to host) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = filepath.Base(os.Args[0])
	cmd.Env = append(os.Environ(), asVariable+"="+asChild, childVariable+"="+what, fmt.Sprintf("%s=%s %s", hostVariable, to.v4, to.v6))
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
