package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/launcher"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/ways"
)

// Replace executes a command in place of this process. It returns only if that fails.
func Replace(command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run the test binary: %w", err)
	}
	if err := dieWithGoTool(); err != nil {
		return err
	}
	return execute(path, command)
}

// IsNative reports whether this machine runs a program itself.
func IsNative(string) (bool, error) { return true, nil }

// checkDirect reports whether this process has the capabilities and a cgroup that it may write to.
func checkDirect() error {
	rights, err := probe.ReadRights()
	if err != nil {
		return err
	}
	if rights.UserNamespace {
		return errors.New("this process is in a user namespace")
	}
	if missing := rights.Missing(); len(missing) > 0 {
		return fmt.Errorf("this process lacks %s", strings.Join(missing, ", "))
	}
	tree, err := cgroup.FindTree()
	if err != nil {
		return err
	}
	leaf, err := cgroup.NewLeaf(tree)
	if err != nil {
		return err
	}
	if err := leaf.Leave(); err != nil {
		return err
	}
	procs := filepath.Join(filepath.Dir(leaf.Path), "cgroup.procs")
	if err := unix.Faccessat(unix.AT_FDCWD, procs, unix.W_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("write to %s: %w", procs, err)
	}
	return nil
}

// checkHelper runs the helper without a command.
func checkHelper(ctx context.Context) error {
	info, err := os.Stat(ways.HelperPath)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the helper is not installed")
	}
	if err != nil {
		return err
	}
	if unix.Access(ways.HelperPath, unix.X_OK) != nil {
		return fmt.Errorf("this user is not in the group of %s (mode %v)", ways.HelperPath, info.Mode().Perm())
	}
	return checkLauncher(exec.CommandContext(ctx, ways.HelperPath, launcher.CheckCommand))
}

func runHelper(command []string) error {
	return replaceByLauncher([]string{ways.HelperPath}, nil, command)
}

// checkSudo reports whether sudo runs the launcher without asking for a password, or can ask on a terminal.
func checkSudo(ctx context.Context) error {
	sudo, err := findSudo()
	if err != nil {
		return err
	}
	program, err := self()
	if err != nil {
		return err
	}
	err = checkLauncher(exec.CommandContext(ctx, sudo, "-n", "--", program, LaunchCommand, launcher.CheckCommand))
	if err != nil && strings.Contains(err.Error(), "password") && hasTerminal() {
		return nil
	}
	return err
}

// LaunchCommand is the subcommand of netzero that is package launcher.
const LaunchCommand = "launch"

func findSudo() (string, error) {
	rights, err := probe.ReadRights()
	if err != nil {
		return "", err
	}
	if rights.NoNewPrivileges {
		return "", errors.New("this process may not gain privileges (no_new_privs)")
	}
	sudo, err := exec.LookPath("sudo")
	if err != nil {
		return "", errors.New("sudo is not installed")
	}
	return sudo, nil
}

func runSudo(command []string) error {
	sudo, err := findSudo()
	if err != nil {
		return err
	}
	program, err := self()
	if err != nil {
		return err
	}
	ask, err := authenticate(sudo)
	if err != nil {
		return err
	}
	groups, err := os.Getgroups()
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	caller := []string{"-caller", strconv.Itoa(os.Getpid()), "-uid", strconv.Itoa(os.Getuid()),
		"-gid", strconv.Itoa(os.Getgid()), "-groups", strings.Trim(strings.ReplaceAll(fmt.Sprint(groups), " ", ","), "[]"),
		"-dies-with-parent"}
	return replaceByLauncher(append([]string{sudo}, append(ask, "--", program, LaunchCommand)...), caller, command)
}

// authenticate lets sudo ask for the password on the terminal, if it must. Tests of several packages run at once, and
// one of them asks.
func authenticate(sudo string) (flags []string, err error) {
	if exec.Command(sudo, "-n", "true").Run() == nil || !hasTerminal() {
		return []string{"-n"}, nil
	}
	unlock, err := lockOnce("sudo")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if exec.Command(sudo, "-n", "true").Run() == nil {
		return []string{"-n"}, nil
	}
	ask := exec.Command(sudo, "-v", "-p", "netzero: password of %p, to record this test: ")
	ask.Stdin, ask.Stderr = os.Stdin, os.Stderr
	if err := ask.Run(); err != nil {
		return nil, fmt.Errorf("sudo: %w", err)
	}
	return nil, nil
}

// replaceByLauncher executes a launcher in place of this process.
func replaceByLauncher(launch, flags, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run the test binary: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if isGoTool(os.Getppid()) && len(flags) == 0 {
		flags = []string{"-dies-with-parent"}
	}
	args := append(append(append(launch[:len(launch):len(launch)], flags...), "--", path), command[1:]...)
	return execute(args[0], args)
}

// checkLauncher runs a launcher that only checks itself, and returns what it says.
func checkLauncher(cmd *exec.Cmd) error {
	var out bytes.Buffer
	cmd.Stderr = &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(out.String()); text != "" {
			return errors.New(strings.TrimPrefix(text, "netzero: "))
		}
		return err
	}
	return nil
}

// hasTerminal reports whether this process has a terminal on which a person can be asked.
func hasTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// dieWithGoTool makes the kernel kill this process when `go tool` ends. A killed `go tool` cannot pass the signal on,
// and go test knows only that process.
func dieWithGoTool() error {
	if !isGoTool(os.Getppid()) {
		return nil
	}
	return launcher.DieWithParent()
}

// isGoTool reports whether a process is `go tool`.
func isGoTool(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return false
	}
	words := strings.Split(string(line), "\x00")
	return len(words) > 1 && filepath.Base(words[0]) == "go" && words[1] == "tool"
}
