// Package e2e holds the end-to-end tests: scripts that run the real go test on a small module which imports this one,
// as a user's does, and check its output, its exit code and the files that it writes.
//
// Each file in testdata is a script with its files (a txtar archive). It runs in a separate cgroup, which must be empty
// at the end. It has no variable of the caller, no module from the network, and no external host except those of its
// lab.conf (see package netlab). The tests need Linux and root.
//
// Besides the commands of testscript there are:
//
//	lab CMD...           runs CMD in the lab that lab.conf describes, and in the script's cgroup
//	box CMD...           runs CMD in the script's cgroup only
//	built FLAGS...       runs ./shop.test, made by go test -c, as go test would, without linking it again
//	unprivileged CMD...  runs CMD as a user without rights; also for go test -exec
//	accept [CMD...]      runs the command that the last failure shows after "To accept:", with CMD
//	[!] says TEXT        searches the last output for a text, ignoring line breaks
//	waitfor FILE         waits until FILE exists
//	cgroups N            fails unless recordings have left N cgroups
package e2e
