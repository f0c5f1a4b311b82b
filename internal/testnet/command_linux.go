package testnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The names under which this package starts its own executable again. They are in argv[0], because a caller of Command
// may replace the environment.
const (
	argInside = "testnet-inside" // namespace, resolv.conf, path, program's argv...
	argWatch  = "testnet-watch"
)

// selfExe is correct even after the file was deleted or replaced, as by `go test`.
const selfExe = "/proc/self/exe"

// statusNotInside is the exit code if the program could not be started inside, like that of env and timeout.
const (
	statusNotInside     = 125
	statusNotExecutable = 126
	statusNotFound      = 127
)

// init runs the internal commands above and then does not return. It runs before main and TestMain, so every executable
// that imports this package has them.
func init() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case argInside:
		os.Exit(execInside(os.Args[1:]))
	case argWatch:
		os.Exit(watch())
	}
}

func (w *wire) command(ctx context.Context, resolvConf, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, selfExe)
	path := name
	if filepath.Base(name) == name {
		// This lookup fails in the same cases as exec.Command's.
		var err error
		if path, err = exec.LookPath(name); err != nil {
			cmd.Err = err
		}
	}
	cmd.Args = append([]string{argInside, w.insideNS.path(), resolvConf, path, name}, args...)
	return cmd
}

// execInside moves this process inside and executes the program. It returns an exit code, and only on failure.
func execInside(args []string) int {
	if len(args) < 4 {
		fmt.Fprintf(os.Stderr, "testnet: %s is for testnet's own use\n", argInside)
		return statusNotInside
	}
	namespace, resolvConf, path, argv := args[0], args[1], args[2], args[3:]
	if err := enter(namespace, resolvConf); err != nil {
		fmt.Fprintf(os.Stderr, "testnet: enter lab: %v\n", err)
		return statusNotInside
	}
	err := syscall.Exec(path, argv, os.Environ())
	fmt.Fprintf(os.Stderr, "testnet: run %s: %v\n", path, err)
	if errors.Is(err, os.ErrNotExist) {
		return statusNotFound
	}
	return statusNotExecutable
}

// enter moves the calling thread. In an init function this is the main thread, and exec keeps the namespaces of that.
func enter(namespace, resolvConf string) error {
	if err := joinNamespace(namespace); err != nil {
		return err
	}
	if err := stillOpen(namespace); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("create mount namespace: %w", err)
	}
	// A slave, not private: mounts made here stay here, and later mounts and unmounts of the machine (a container's
	// root, for example) happen here too instead of being kept busy.
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return replaceResolver(resolvConf)
}

// joinNamespace moves the calling thread into the network namespace at path.
func joinNamespace(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}

// stillOpen fails if the lab was closed, or its owner killed, while the calling thread joined its namespace. The
// watcher may have listed the processes for the last time before the thread joined. If the lab is still open
// afterwards, the watcher will find the thread.
func stillOpen(path string) error {
	lab, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("find open lab: %w", err)
	}
	own, err := os.Stat(ownNetns)
	if err != nil {
		return fmt.Errorf("find own network namespace: %w", err)
	}
	if !os.SameFile(lab, own) {
		return errors.New("the lab was closed")
	}
	return nil
}
