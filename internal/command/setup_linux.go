package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/netzero-dev/netzero/internal/launch"
	"github.com/netzero-dev/netzero/internal/setup"
)

// The command setup runs parts of itself as other users: by sudo what needs root, and as the user who called sudo what
// is that user's, so that root owns nothing in caches.
const (
	setupRoot = "setup-root" // install HELPER, or remove
	setupUser = "setup-user" // build, which prints the path of the helper, or remove
)

func init() {
	subcommands = append(subcommands,
		subcommand{name: setupRoot, hidden: true, run: runSetupRoot},
		subcommand{name: setupUser, hidden: true, run: runSetupUser})
}

func (c *call) setUp() int {
	ctx := context.Background()
	if os.Geteuid() != 0 {
		helper, err := launch.BuildHelper(ctx, runtime.GOARCH)
		if err != nil {
			return c.fail(statusFailed, err)
		}
		return c.asRoot("install", helper)
	}
	caller, err := callerOfSudo()
	if err != nil {
		return c.fail(statusFailed, err)
	}
	var helper string
	if caller == nil {
		helper, err = launch.BuildHelper(ctx, runtime.GOARCH)
	} else {
		var out bytes.Buffer
		err = c.asUser(ctx, caller, &out, "build")
		helper = strings.TrimSpace(out.String())
	}
	if err == nil {
		err = c.install(ctx, helper, caller)
	}
	if err != nil {
		return c.fail(statusFailed, err)
	}
	return statusOK
}

func (c *call) install(ctx context.Context, helper string, member *user.User) error {
	program, err := os.ReadFile(helper)
	if err != nil {
		return fmt.Errorf("read the helper: %w", err)
	}
	return setup.Default(c.say).Install(ctx, program, member)
}

func (c *call) say(change string) { fmt.Fprintln(c.stdout, change) }

func (c *call) removeSetup() int {
	ok := removeOwn(c.stdout, c.stderr)
	status := statusOK
	if os.Geteuid() != 0 {
		status = c.asRoot("remove")
	} else {
		caller, err := callerOfSudo()
		if err == nil && caller != nil {
			err = c.asUser(context.Background(), caller, c.stdout, "remove")
		}
		if err = errors.Join(err, setup.Default(c.say).Remove()); err != nil {
			status = c.fail(statusFailed, err)
		}
	}
	if !ok {
		return statusFailed
	}
	return status
}

// asRoot runs the part for root by sudo, and returns its status.
func (c *call) asRoot(args ...string) int {
	err := launch.RunAsRoot(append([]string{setupRoot}, args...)...)
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) {
		return exited.ExitCode()
	}
	if err != nil {
		again := strings.Join(append([]string{"sudo go tool netzero setup"}, c.arguments...), " ")
		return c.fail(statusFailed, fmt.Errorf("it needs root, and %w; run it on a terminal, or as root: %s", err, again))
	}
	return statusOK
}

func runSetupRoot(c *call) int {
	caller, err := callerOfSudo()
	if err != nil {
		return c.fail(statusFailed, err)
	}
	c.subcommand = &setupCommand // errors begin with its name
	switch {
	case len(c.arguments) == 2 && c.arguments[0] == "install":
		err = c.install(context.Background(), c.arguments[1], caller)
	case slices.Equal(c.arguments, []string{"remove"}):
		err = setup.Default(c.say).Remove()
	default:
		return c.fail(statusUsage, errors.New("only setup itself runs its part for root"))
	}
	if err != nil {
		return c.fail(statusFailed, err)
	}
	return statusOK
}

// asUser runs the part for the user, with that user's home and caches.
func (c *call) asUser(ctx context.Context, u *user.User, stdout io.Writer, args ...string) error {
	credential, err := setup.Credential(u)
	if err != nil {
		return err
	}
	// This file may be in a directory of root's.
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{setupUser}, args...)...)
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains([]string{"HOME", "USER", "LOGNAME"}, name) { // sudo sets those of root
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "HOME="+u.HomeDir, "USER="+u.Username, "LOGNAME="+u.Username)
	cmd.Stdout, cmd.Stderr = stdout, c.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s as %s: %w", strings.Join(args, " "), u.Username, err)
	}
	return nil
}

func runSetupUser(c *call) int {
	c.subcommand = &setupCommand
	switch {
	case slices.Equal(c.arguments, []string{"build"}):
		helper, err := launch.BuildHelper(context.Background(), runtime.GOARCH)
		if err != nil {
			return c.fail(statusFailed, err)
		}
		fmt.Fprintln(c.stdout, helper)
		return statusOK
	case slices.Equal(c.arguments, []string{"remove"}):
		if !removeOwn(c.stdout, c.stderr) {
			return statusFailed
		}
		return statusOK
	}
	return c.fail(statusUsage, errors.New("only setup itself runs its part for a user"))
}

// callerOfSudo returns the user who called sudo, or nil if that is root.
func callerOfSudo() (*user.User, error) {
	id := os.Getenv("SUDO_UID")
	if id == "" || id == "0" {
		return nil, nil
	}
	caller, err := user.LookupId(id)
	if err != nil {
		return nil, fmt.Errorf("find the user who called sudo: %w", err)
	}
	return caller, nil
}
