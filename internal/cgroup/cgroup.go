// Package cgroup finds the cgroup v2 tree, tells which directory of it an id stands for, and gives a process a leaf of its
// own in it for a while.
//
// It refuses cgroup v1 and read-only trees with an error that says so, and knows nothing of eBPF. A leaf is held by a
// file lock on its directory, which the kernel drops when the holder dies: so the next run tells a killed run's leaf
// from that of one that is alive, across pid namespaces too, and removes it.
package cgroup

import "errors"

var (
	// ErrNoTree is returned where no cgroup v2 hierarchy is mounted.
	ErrNoTree = errors.New("no cgroup v2 hierarchy is mounted")
	// ErrReadOnly is returned where the cgroup v2 hierarchy cannot be written to, as in an unprivileged container.
	ErrReadOnly = errors.New("the cgroup v2 hierarchy is read-only")
	// ErrNotPermitted is returned where this user may not write to the cgroup v2 hierarchy.
	ErrNotPermitted = errors.New("not permitted to write to the cgroup v2 hierarchy")
	// ErrNoCgroup is returned where no cgroup of the tree has an id: it is gone, or lies outside of what the mount shows.
	ErrNoCgroup = errors.New("no such cgroup in the cgroup v2 hierarchy")
)

// leafPrefix starts the name of every leaf, by which stale ones are found.
const leafPrefix = "netzero-"
