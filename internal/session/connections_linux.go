package session

import (
	"errors"
	"fmt"
	"os"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
)

// AdoptConnections makes up for the TCP connections that the processes in the directory of a cgroup opened before it came
// into scope, which it is in: see [probe.Probe.TrackConnections].
func (s *Session) AdoptConnections(dir string, id uint64) error {
	pids, err := cgroup.Members(dir)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		opener := probe.Initiator{PID: pid}
		opener.Process = s.look(opener, nil)
		opener.Executable = opener.Process.Name
		if err := s.Probe.TrackConnections(pid, id, s.netnsOf(pid), opener); err != nil {
			return err
		}
	}
	return nil
}

// netnsOf returns the cookie of a process's network namespace, if it is this process's; else 0.
func (s *Session) netnsOf(pid int) uint64 {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return 0
	}
	if other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); err != nil || other != own {
		return 0
	}
	return s.Self.Netns
}

// Connections returns the TCP connections that are open in this process's own cgroup, and in the directories of others, and
// that tasks in scope opened. Those that are open twice are there twice.
func (s *Session) Connections(others ...string) ([]probe.Connection, error) {
	var all []probe.Connection
	var errs []error
	for _, dir := range append([]string{s.Leaf.Path}, others...) {
		pids, err := cgroup.Members(dir)
		errs = append(errs, err)
		for _, pid := range pids {
			found, err := s.Probe.Connections(pid)
			all, errs = append(all, found...), append(errs, err)
		}
	}
	return all, errors.Join(errs...)
}
