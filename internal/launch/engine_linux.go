package launch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/launcher"
)

// forwarded are the signals that are for the command: all of them.
var forwarded []os.Signal

// runJoined has a container run the command. The launcher in it joins this process: the command gets this process's
// namespaces, files, environment and user. Errors: errOtherKernel.
func runJoined(
	ctx context.Context, engine *client.Client, image string, command []string, signals <-chan os.Signal,
) error {
	if other, err := isOtherKernel(ctx, engine); err != nil || other {
		return errors.Join(err, errOtherKernel)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	control, theirs := os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control of the launcher")
	defer control.Close()
	defer theirs.Close()
	self, err := launcher.Self(pair[1])
	if err != nil {
		return err
	}
	running, err := startContainer(ctx, engine, image, self.Args(command...), nil)
	if err != nil {
		return err
	}
	defer running.attached.Close()
	refusal := make(chan launcher.ToClient, 1)
	go func() {
		var m launcher.ToClient
		_ = json.NewDecoder(running.stdout).Decode(&m)
		_, _ = io.Copy(io.Discard, running.stdout)
		theirs.Close() // the container has ended, so that nobody else has the other end
		refusal <- m
	}()
	answers := json.NewDecoder(control)
	var answer launcher.ToClient
	if err := answers.Decode(&answer); err != nil {
		if m := <-refusal; m.OtherKernel {
			return errOtherKernel
		}
		return fmt.Errorf("the launcher does not answer: %w", running.failure())
	}
	theirs.Close() // the launcher has it now, and if it is killed, the connection ends
	go func() {
		for s := range signals {
			if n, ok := linuxSignal(s); ok {
				_ = json.NewEncoder(control).Encode(launcher.ToLauncher{Signal: n})
			}
		}
	}()
	for !answer.Ended && answer.Error == "" {
		if err := answers.Decode(&answer); err != nil {
			return errors.New("the container of the test ended before it: something killed it")
		}
	}
	return endAs(answer)
}

// isOtherKernel reports whether the engine certainly has another kernel than this process. Where it has another one
// that looks alike, the launcher finds that out.
func isOtherKernel(ctx context.Context, engine *client.Client) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	info, err := engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return false, fmt.Errorf("the container engine does not answer: %w", err)
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false, os.NewSyscallError("uname", err)
	}
	return info.Info.KernelVersion != unix.ByteSliceToString(name.Release[:]), nil
}

// linuxSignal returns the number that Linux gives to a signal, if it is one for the command.
func linuxSignal(s os.Signal) (int, bool) {
	switch s {
	case syscall.SIGCHLD, syscall.SIGURG: // of this process only
		return 0, false
	}
	return int(s.(syscall.Signal)), true
}

// ownSignal returns the signal to which Linux gives a number.
func ownSignal(number int) syscall.Signal { return syscall.Signal(number) }
