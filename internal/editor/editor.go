// Package editor says and writes the settings with which an editor's buttons run tests by `netzero exec`.
//
// It changes a file in place, keeps comments and everything else in it, and refuses what it does not understand.
package editor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/netzero-dev/netzero/internal/atomicfile"
)

// Editor is an editor that is known here.
type Editor struct {
	Name string

	settings func(Exec) string
	write    func(dir string, exec Exec) (Written, error) // nil if nothing can be written
}

// Editors lists them.
var Editors = []Editor{
	{Name: "vscode", settings: vscodeSettings, write: writeVSCode},
	{Name: "goland", settings: golandSettings, write: writeGoLand},
	{Name: "neovim", settings: neovimSettings},
}

// ErrPaste is returned if the settings were not written. The text of [Editor.Settings] has them, to be pasted.
var ErrPaste = errors.New("the settings were not written: add the lines above yourself")

// Find returns the editor with a name.
func Find(name string) (Editor, error) {
	var names []string
	for _, e := range Editors {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Editor{}, fmt.Errorf("%q is no editor that is known here: %s", name, strings.Join(names, ", "))
}

// Settings returns what to change, and where, as text for a person.
func (e Editor) Settings(exec Exec) string { return e.settings(exec) }

// Written is the result of [Editor.Write].
type Written struct {
	Path    string
	Changed bool // false if the file had the settings
}

// Write writes the settings for the project in a directory. Error: [ErrPaste].
func (e Editor) Write(dir string, exec Exec) (Written, error) {
	if e.write == nil {
		return Written{}, fmt.Errorf("%s is configured by programs: %w", e.Name, ErrPaste)
	}
	w, err := e.write(dir, exec)
	if err != nil {
		return Written{}, fmt.Errorf("%w: %w", err, ErrPaste)
	}
	return w, nil
}

// Exec is the value of go test's flag -exec: words separated by spaces. Each word may be quoted.
type Exec string

// Program returns the value for the program at a path.
func Program(path string) (Exec, error) {
	switch {
	case !strings.ContainsAny(path, " \t\n'\""):
		return Exec(path + " exec"), nil
	case !strings.ContainsAny(path, `'"`):
		return Exec(`"` + path + `" exec`), nil
	}
	return "", fmt.Errorf("GOFLAGS cannot hold the path %q, which has a quote in it", path)
}

// Flags returns GOFLAGS. An entry with spaces is in quotes as a whole; quotes within an entry mean nothing to go.
func (e Exec) Flags() string { return "'-exec=" + string(e) + "'" }

// addFlags returns GOFLAGS with the flag, or an error if they have another -exec.
func (e Exec) addFlags(flags string) (string, error) {
	switch {
	case strings.TrimSpace(flags) == "":
		return e.Flags(), nil
	case strings.Contains(flags, e.Flags()), strings.Contains(flags, `"-exec=`+string(e)+`"`):
		return flags, nil
	case strings.Contains(flags, "-exec"):
		return "", fmt.Errorf("GOFLAGS has another -exec: %s", flags)
	}
	return flags + " " + e.Flags(), nil
}

// replaceFile replaces a file as a whole, or makes it. A symbolic link stays one.
func replaceFile(path, text string) error {
	mode := os.FileMode(0o644)
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, []byte(text), func(file *os.File) error { return file.Chmod(mode) })
}
