// Package escapes tests every known way in which traffic leaves a process or a container: one small real program for
// each, recorded by netzerotest.Record on whatever kernel runs.
//
// The table of ways is in the files ways_*_linux_test.go. A row says what the recording has to show: a flow, or nothing
// and why. A row that shows less fails, and so does one that shows more. The table becomes docs/escapes.md.
//
// The test binary starts itself again as the test binary of a user, in a lab of package testnet, and there each row is
// a test that records. Each row has a host of its own, so that whoever sees its address has seen this row. TestTools
// runs each row once more for strace, tcpdump and bpftrace, and only where -tools asks for it.
//
// Limits: Linux, root. Rows with containers need Docker, and those with interfaces of their own need veth or TUN: they
// do not run in the guests of package kernels.
package escapes
