package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/netzero-dev/netzero/internal/editor"
)

func editorNames() string {
	var names []string
	for _, e := range editor.Editors {
		names = append(names, e.Name)
	}
	return strings.Join(names, ", ")
}

// setUpEditor prints the settings of an editor, and writes them.
func (c *call) setUpEditor(name string, write bool) int {
	e, err := editor.Find(name)
	if err != nil {
		return c.fail(statusUsage, err)
	}
	command, err := editorCommand()
	if err != nil {
		return c.fail(statusFailed, err)
	}
	if !write {
		fmt.Fprint(c.stdout, e.Settings(command))
		c.warnOfFlags(command)
		return statusOK
	}
	written, err := e.Write(".", command)
	switch {
	case errors.Is(err, editor.ErrPaste):
		fmt.Fprintf(c.stdout, "%s\n", e.Settings(command))
		return c.fail(statusFailed, err)
	case err != nil:
		return c.fail(statusFailed, err)
	case !written.Changed:
		fmt.Fprintf(c.stdout, "%s has the settings\n", written.Path)
	default:
		fmt.Fprintf(c.stdout, "wrote %s\n", written.Path)
		c.warnOfFlags(command)
	}
	return statusOK
}

// warnOfFlags names the flags in GOFLAGS that a variable GOFLAGS of an editor replaces.
func (c *call) warnOfFlags(command editor.Exec) {
	out, err := exec.Command("go", "env", "GOFLAGS").Output()
	if flags := strings.TrimSpace(string(out)); err == nil && flags != "" && flags != command.Flags() {
		fmt.Fprintf(c.stdout, "GOFLAGS is now %s: a GOFLAGS of the editor replaces it, so add what the tests need of it\n",
			flags)
	}
}

// editorCommand returns the command that an editor's go test finds: the tool of the module in the current directory, or
// else this program, if it stays where it is.
func editorCommand() (editor.Exec, error) {
	if exec.Command("go", "tool", "-n", "netzero").Run() == nil {
		return "go tool netzero exec", nil
	}
	program, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	for _, dir := range temporary() {
		if strings.HasPrefix(program, dir+string(filepath.Separator)) {
			return "", errors.New("the module in this directory has no tool netzero: " +
				"go get -tool github.com/netzero-dev/netzero/netzerotest/cmd/netzero")
		}
	}
	return editor.Program(program)
}

// temporary returns the directories from which go run and go tool run a program that they built.
func temporary() []string {
	dirs := []string{filepath.Clean(os.TempDir())}
	if out, err := exec.Command("go", "env", "GOCACHE").Output(); err == nil {
		dirs = append(dirs, filepath.Clean(strings.TrimSpace(string(out))))
	}
	return dirs
}
