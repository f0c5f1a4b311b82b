package launch

import (
	"errors"
	"os"
	"os/exec"
)

// ErrNoTerminal is returned if sudo cannot ask for a password, because there is no terminal.
var ErrNoTerminal = errors.New("there is no terminal on which sudo can ask for a password")

// RunAsRoot runs this program with other arguments by sudo, which asks for a password on the terminal. Errors:
// [ErrNoTerminal], [exec.ExitError].
func RunAsRoot(args ...string) error {
	sudo, err := findSudo()
	if err != nil {
		return err
	}
	if !hasTerminal() {
		return ErrNoTerminal
	}
	program, err := self()
	if err != nil {
		return err
	}
	cmd := exec.Command(sudo, append([]string{"--", program}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}
