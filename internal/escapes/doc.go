// Package escapes tests every known way in which traffic leaves a process or a container. Each way is a small real
// program that netzerotest.Record records on the running kernel.
//
// The table of ways is in the files ways_*_linux_test.go. A row says what the recording must contain: a flow, or
// nothing and the reason. A row with fewer or more flows fails. With Enforce and a policy that allows nothing, each
// recorded way has to be refused, and a capture at the hosts has to be empty, unless the row says why it passes. The
// table becomes docs/escapes.md.
//
// The test binary starts itself again as the test binary of a user, in a lab of package testnet. There each row is a
// test that records. Each row has a separate host, so its address identifies the row. With -tools,
// TestWaysOut_Tools runs each row once more for strace, tcpdump and bpftrace.
//
// Limits: Linux and root. Rows with containers need Docker. Rows with separate interfaces need veth or TUN, so they do
// not run in the guests of package kernels.
package escapes
