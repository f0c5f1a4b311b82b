// Package cgroup finds the cgroup v2 tree, maps cgroup ids to directories, and gives a process a temporary leaf cgroup
// of its own.
//
// It rejects cgroup v1 and read-only trees with a descriptive error, and knows nothing of eBPF. A file lock on the
// leaf's directory marks the leaf as used. The kernel drops the lock when its holder dies, so the next run can
// distinguish the leaf of a killed run from that of a live one, across pid namespaces too, and removes it.
package cgroup

import "errors"

var (
	// ErrNoTree is returned if no cgroup v2 hierarchy is mounted.
	ErrNoTree = errors.New("no cgroup v2 hierarchy is mounted")
	// ErrReadOnly is returned if the cgroup v2 hierarchy is not writable, as in an unprivileged container.
	ErrReadOnly = errors.New("the cgroup v2 hierarchy is read-only")
	// ErrNotPermitted is returned if this user may not write to the cgroup v2 hierarchy.
	ErrNotPermitted = errors.New("not permitted to write to the cgroup v2 hierarchy")
	// ErrNoCgroup is returned if no cgroup of the tree has the id: the cgroup was removed, or is outside of the mount.
	ErrNoCgroup = errors.New("no such cgroup in the cgroup v2 hierarchy")
)

// leafPrefix starts the name of every leaf. Stale leaves are found by it.
const leafPrefix = "netzero-"
