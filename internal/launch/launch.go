// Package launch runs a test binary with what recording needs, by the first way that works on this machine.
//
// The ways are, in this order: this process itself, the helper that `netzero setup` installs, sudo, and a privileged
// container of an engine. The last three execute package launcher, which runs the test binary as the caller.
package launch

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// Way is a way to get what recording needs.
type Way string

// The ways, in the order in which they are tried.
const (
	Direct Way = "direct" // this process has what recording needs
	Helper Way = "helper" // the helper of `netzero setup`, which has file capabilities
	Sudo   Way = "sudo"
	Engine Way = "engine" // a container of an engine that this user may use
)

// Ways lists all ways, in the order in which they are tried.
var Ways = []Way{Direct, Helper, Sudo, Engine}

// ParseWay returns the way with a name.
func ParseWay(name string) (Way, error) {
	for _, way := range Ways {
		if string(way) == name {
			return way, nil
		}
	}
	return "", fmt.Errorf("%q is no way to record: the ways are %s", name, join(Ways))
}

func join(ways []Way) string {
	var names []string
	for _, way := range ways {
		names = append(names, string(way))
	}
	return strings.Join(names, ", ")
}

// Obstacle is why a way does not work here.
type Obstacle struct {
	Way    Way
	Reason error
}

func (o Obstacle) String() string { return fmt.Sprintf("%s: %v", o.Way, o.Reason) }

// Search is the result of [Find].
type Search struct {
	Way       Way        // empty if no way works
	Obstacles []Obstacle // of the ways that were tried before it
}

// Find tries the ways in order, as far as that starts no container and asks no person, and returns the first one that
// works.
func Find(ctx context.Context) Search {
	var s Search
	for _, way := range Ways {
		if err := way.Check(ctx); err != nil {
			s.Obstacles = append(s.Obstacles, Obstacle{way, err})
			continue
		}
		s.Way = way
		break
	}
	return s
}

// Check returns nil if a way works here, and otherwise why not.
func (w Way) Check(ctx context.Context) error {
	switch w {
	case Direct:
		return checkDirect()
	case Helper:
		return checkHelper(ctx)
	case Sudo:
		return checkSudo(ctx)
	case Engine:
		return checkEngine(ctx)
	}
	return fmt.Errorf("%q is no way to record", string(w))
}

// Run runs a command by a way, with this process's standard streams, environment and directory. Where it can, the
// command replaces this process, and Run returns only if it fails. Otherwise Run passes signals on, and ends this
// process as the command ended.
func (w Way) Run(ctx context.Context, command []string) error {
	switch w {
	case Direct:
		return Replace(command)
	case Helper:
		return runHelper(command)
	case Sudo:
		return runSudo(command)
	case Engine:
		return runEngine(ctx, command)
	}
	return fmt.Errorf("%q is no way to record", string(w))
}

// self returns the path of this program.
func self() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return path, nil
}
