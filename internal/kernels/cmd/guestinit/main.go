// Command guestinit is process 1 of a kernel test's guest: it mounts the file systems for the tests, runs the plan's
// test binaries as root, sends their output over the serial line and shuts the machine down.
//
// It ignores no failure: a mount that fails, a test binary that cannot be started, a warning of the kernel's own code
// during the tests all fail the run. It needs Linux, and an initramfs made by package kernels with nothing else in it.
// On any other machine it only prints an error.
package main

import (
	"fmt"
	"os"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

func main() {
	// The plan is looked up first: run by mistake on a real machine, this would mount over its /tmp.
	_, err := os.Stat(guest.PlanPath)
	if err != nil || os.Getpid() != 1 && os.Getppid() != 1 {
		fmt.Fprintln(os.Stderr, "guestinit is for the guests of testkernels")
		os.Exit(2)
	}
	run()
}
