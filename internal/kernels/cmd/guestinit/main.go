// Command guestinit is process 1 of a kernel test's guest: it mounts what the tests need, runs the plan's test binaries as
// root, sends what they say over the serial line and ends the machine.
//
// It refuses to pass over what is wrong: a mount that fails, a test binary that cannot be started, a warning of the
// kernel's own code while the tests ran all fail the run. It needs Linux, an initramfs made by package kernels, and
// nothing else in it. On a machine that is not such a guest it does nothing but say so.
package main

import (
	"fmt"
	"os"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

func main() {
	// The plan is looked for first: run by mistake on a real machine, this would mount over its /tmp.
	_, err := os.Stat(guest.PlanPath)
	if err != nil || os.Getpid() != 1 && os.Getppid() != 1 {
		fmt.Fprintln(os.Stderr, "guestinit is for the guests of testkernels")
		os.Exit(2)
	}
	run()
}
