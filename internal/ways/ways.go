// Package ways reports how a user without privileges can record on this machine. It only looks: it starts nothing and
// connects to nothing. Package launch tries the ways.
package ways

import (
	"os"
	"path/filepath"
	"strings"
)

// Tool is the package of the command netzero.
const Tool = "github.com/netzero-dev/netzero/netzerotest/cmd/netzero"

// Exec is the flag with which go test runs test binaries by netzero.
const Exec = "-exec 'go tool netzero exec'"

// HelperPath is where `netzero setup` installs the helper.
const HelperPath = "/usr/local/libexec/netzero/netzero-helper"

// Setup is the command that installs the helper. It needs root once.
const Setup = "go tool netzero setup"

// Advice returns what to type to record a go test command. If no way is likely to work, there is no sudo either, so it
// says what root has to do first. dir is a directory of the user's module.
func Advice(command, dir string) string {
	var steps []string
	if !hasTool(dir) {
		steps = append(steps, "go get -tool "+Tool)
	}
	advice := "record with: " + strings.Join(append(steps, command), " && ")
	if !isLikely() {
		advice = "let root run once: " + Setup + "; then " + advice
	}
	return advice
}

// hasTool reports whether the module of a directory lists the command as a tool.
func hasTool(dir string) bool {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			return strings.Contains(string(text), Tool)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}
