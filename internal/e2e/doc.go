// Package e2e holds the end-to-end tests: scripts that run the real go test on a small module which imports this one,
// as a user's does, and look at what it prints, at its exit code and at the files that it leaves.
//
// Each file in testdata is a script with its files (a txtar archive), runs in a cgroup of its own and must leave that
// empty. It has nothing but what it says: no variable of the caller's, no module from the network, and no outside host
// but those of its own lab.conf (see package netlab). The tests need Linux and root.
//
// Besides the commands of testscript there are:
//
//	lab CMD...           runs CMD in the lab that lab.conf describes, and in the script's cgroup
//	box CMD...           runs CMD in the script's cgroup only
//	built FLAGS...       runs ./shop.test, made by go test -c, as go test would: it spares linking it again
//	unprivileged CMD...  runs CMD as a user without rights; also for go test -exec
//	accept [CMD...]      runs, by CMD, the command that the last failure text offers behind "To accept:"
//	[!] says TEXT        looks for a text in the last output, however it is broken into lines
//	waitfor FILE         waits until FILE exists
//	leaves N             counts the leaf cgroups that recordings have left
package e2e
