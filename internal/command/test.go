package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/launch"
)

var testCommand = subcommand{
	name:    "test",
	args:    "[arguments of go test]",
	summary: "Runs go test so that its tests are recorded, also on macOS, in the engine's Linux.",
	run:     runTest,
}

func runTest(c *call) int {
	if c.wantsHelp() {
		c.usage()
		return statusOK
	}
	return c.goTest()
}

// wantsHelp reports whether the arguments, which are those of go test, ask for the help of this command.
func (c *call) wantsHelp() bool {
	return slices.ContainsFunc(c.arguments, func(arg string) bool {
		return arg == "-h" || arg == "-help" || arg == "--help"
	})
}

// goTest runs go test with the arguments and more variables, and returns its exit status.
func (c *call) goTest(environment ...string) int {
	program, err := os.Executable()
	if err != nil {
		return c.fail(statusFailed, err)
	}
	cmd := exec.Command("go", append([]string{"test", "-exec", quote(program) + " exec"}, c.arguments...)...)
	if cmd.Env, err = launch.TestEnvironment(context.Background()); err != nil {
		return c.fail(statusFailed, err)
	}
	cmd.Env = append(cmd.Env, environment...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return exited.ExitCode()
	}
	if err != nil {
		return c.fail(statusFailed, fmt.Errorf("run go test: %w", err))
	}
	return statusOK
}

// quote quotes a word of go test's -exec, which has quotes and no escapes.
func quote(word string) string {
	switch {
	case !strings.ContainsAny(word, " \t\n'\""):
		return word
	case !strings.Contains(word, "'"):
		return "'" + word + "'"
	}
	return `"` + word + `"`
}
