// Package recorded tests Record from end to end on whatever kernel runs, with nothing but its own test binary: no go
// command, no shell. So it runs in the guests of package kernels too; what needs the real go test is in package e2e.
//
// The test binary starts itself again as the test binary of a user, whose package is a temporary directory named shop,
// and looks at its exit code, at what it prints and at the bytes of the golden files in testdata/netzero. The user's
// tests are in user_linux_test.go. They run in a lab of package testnet, which gives them external hosts with names;
// package testnet says what of that is real on a kernel without veth.
//
// Limits: Linux, root. Whoever needs iptables (address translation) is in package probe, and runs on the host only: the
// guests' kernels have no netfilter built in.
package recorded
