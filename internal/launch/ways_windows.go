package launch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/netzero-dev/netzero/internal/usercache"
)

// forwarded are the signals that are for the command.
var forwarded = []os.Signal{os.Interrupt}

// linuxSignal returns the number that Linux gives to a signal.
func linuxSignal(s os.Signal) (int, bool) { return int(s.(syscall.Signal)), true }

// ownSignal returns the signal to which Linux gives a number.
func ownSignal(number int) syscall.Signal { return syscall.Signal(number) }

// endBySignal ends this process with the status that a shell shows for a signal.
func endBySignal(s syscall.Signal) { os.Exit(128 + int(s)) }

func ignoreBackground() {}

func dieWithGoTool() error { return nil }

// execute runs a command as a child, and ends this process as that ends.
func execute(path string, command []string) error {
	cmd := exec.Command(path, command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return err
	}
	os.Exit(cmd.ProcessState.ExitCode())
	return nil
}

type identity struct {
	uid, gid int
	groups   []int
	umask    int
}

func readIdentity() (identity, error) { return identity{}, errWindows }

// lockOnce locks a name among all processes of this user, and waits for it.
func lockOnce(name string) (unlock func(), err error) {
	dir, err := usercache.Make()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name+".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK, 0, 1, 0, new(windows.Overlapped))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return func() { f.Close() }, nil
}
