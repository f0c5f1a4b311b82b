package session

import (
	"errors"
	"fmt"
	"os"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
)

// TrackConnections records the TCP connections that the processes in a cgroup's directory opened before the cgroup came
// into scope. The cgroup is already in scope. See [probe.Probe.TrackConnections]. Without the permission to read them
// (CAP_SYS_PTRACE), it returns an error only if there may be some.
func (s *Session) TrackConnections(dir string, id uint64) error {
	pids, err := cgroup.Members(dir)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		initiator := probe.Initiator{PID: pid}
		initiator.Process = s.describe(initiator, nil)
		initiator.Executable = initiator.Process.Name
		err := s.Probe.TrackConnections(pid, id, s.netnsOf(pid), initiator)
		if errors.Is(err, os.ErrPermission) {
			if some, readErr := endpoint.MayHaveConnected(pid); !some && readErr == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// netnsOf returns the cookie of a process's network namespace if it is also this process's; otherwise 0.
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

// Connections returns the open TCP connections of this process's cgroup and of the cgroups in the directories others,
// if tasks in scope opened them. A connection that is open in two places is listed twice.
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
