// Package environments tests what a user sees where recording is impossible, or hard: the exact text of Record, on a
// developer's machine and where it is required, and that of the doctor.
//
// The test binary starts itself again in the environment that a test is about, once as a user's test that records real
// traffic (TestRecorded), and once as the doctor. What they print is in testdata, a file for each environment.
// ENVIRONMENTS_UPDATE=1 rewrites these files.
//
// It refuses to imitate what the machine has: a capability is dropped, a mount is hidden, a container is one of Docker's.
// Limits: Linux and root. What cannot be undone (a kernel that is locked down) is for the guests of package kernels only.
// A kernel below the floor is one that says so (personality(2), UNAME26).
package environments
