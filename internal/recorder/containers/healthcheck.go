package containers

import (
	"path"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// OpensHealthCheck reports whether a process of a container descends from the engine's health check command. The shell
// of the command may have exec'd its program. If the process had ended before it was read, only the name of its program
// is known.
func OpensHealthCheck(c docker.Container, p flow.Process) bool {
	if c.HealthCheck == "" {
		return false
	}
	words := strings.FieldsFunc(c.HealthCheck, func(r rune) bool { return strings.ContainsRune(" \t\n'\";()|&", r) })
	names := func(program string) bool {
		return program != "" && slices.ContainsFunc(words, func(word string) bool { return path.Base(word) == program })
	}
	if p.Exec == "" { // the process may have ended before it was read
		main, _, _ := strings.Cut(c.Command, " ")
		return p.Command == "" && len(p.Parents) == 0 && names(p.Name) && path.Base(main) != p.Name
	}
	for command := range c.Execs {
		if command != c.HealthCheck && (p.Exec == command || strings.HasSuffix(command, " "+p.Exec)) {
			return false // another exec runs the same program
		}
	}
	program, _, _ := strings.Cut(p.Exec, " ")
	return p.Exec == c.HealthCheck || names(path.Base(program))
}
