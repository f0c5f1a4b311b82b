// Package environments tests the user's view where recording is impossible or hard: the exact text of Record, on a
// developer's machine and with NETZERO=require, and the text of the doctor.
//
// The test binary starts itself again in the environment under test: once as a user's test that records real traffic
// (TestRecorded), and once as the doctor. Their output is in testdata, one file for each environment.
// ENVIRONMENTS_UPDATE=1 rewrites these files.
//
// It does not imitate features that the machine has: it drops a capability, hides a mount, and runs containers in
// Docker. Limits: Linux and root. Irreversible changes, such as a kernel that is locked down, run only in the guests of
// package kernels. A kernel below the floor is this kernel with another version number (personality(2), UNAME26).
package environments
