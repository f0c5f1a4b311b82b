// Package recorded tests Record from end to end on the running kernel. It needs only its own test binary: no go
// command, no shell. So it also runs in the guests of package kernels. Tests that need the real go test are in package
// e2e.
//
// The test binary starts itself again as the test binary of a user; the user's package is a temporary directory named
// shop. The tests check the exit code, the output and the bytes of the golden files in testdata/netzero. The user's
// tests are in user_linux_test.go. They run in a lab of package testnet, which gives them external hosts with names.
// Package testnet says which parts of a lab are real on a kernel without veth.
//
// Limits: Linux, root. Tests that need iptables (address translation) are in package probe and run on the host only,
// because the guests' kernels have no netfilter built in.
package recorded
