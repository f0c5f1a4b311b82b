//go:build !linux

package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/moby/moby/client"
)

// Replace executes a command in place of this process, or as its child where the system cannot do that. It returns only
// if that fails.
func Replace(command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("run the test binary: %w", err)
	}
	return execute(path, command)
}

// errNotHere is the obstacle of the ways that only a Linux kernel of this machine offers.
var errNotHere = errors.New("this is not Linux")

func checkDirect() error { return errNotHere }

func checkHelper(context.Context) error { return errNotHere }

func checkSudo(context.Context) error { return errNotHere }

func runHelper([]string) error { return errNotHere }

func runSudo([]string) error { return errNotHere }

// runJoined returns errOtherKernel: no Linux is this process's kernel.
func runJoined(context.Context, *client.Client, string, []string, <-chan os.Signal) error {
	return errOtherKernel
}

// IsNative reports whether this machine runs a program itself. Only a Linux program that was built for the engine's
// machine is another one.
func IsNative(program string) (bool, error) {
	f, err := os.Open(program)
	if err != nil {
		return false, fmt.Errorf("read the test binary: %w", err)
	}
	defer f.Close()
	var magic [4]byte
	n, _ := f.Read(magic[:])
	isELF := string(magic[:n]) == "\x7fELF"
	return !isELF || runtime.GOOS != "darwin" && runtime.GOOS != "windows", nil
}
