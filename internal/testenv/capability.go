package testenv

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// Recorded declares that this kernel records a capability fully, if the test passes. Like the functions below it may be
// called at the start, because a later failure of the test withdraws the declaration.
//
// A capability is a row of docs/kernels.md and of the table in internal/kernels/capabilities.go. Exactly one test
// declares it, from the kernel's behaviour and not from its version. The table has the expected values, and a kernel
// that differs fails `make test-kernels`.
func Recorded(tb testing.TB, capability string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Recorded})
}

// FallsBack declares that this kernel has the capability only in part, and names the fallback.
func FallsBack(tb testing.TB, capability, to string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.FallsBack, Text: to})
}

// Refused declares that this kernel has nothing to record or that recording it is refused, and why.
func Refused(tb testing.TB, capability, reason string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Refused, Text: reason})
}

// Reports declares the value of a capability that has more than these states.
func Reports(tb testing.TB, capability, value string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Reported, Text: value})
}

// Measures declares a value that differs between runs, such as a time. It is in a table of its own in docs/kernels.md,
// and no run fails because of it.
func Measures(tb testing.TB, capability, value string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Measured, Text: value})
}

func say(tb testing.TB, c guest.Capability) {
	tb.Helper()
	tb.Cleanup(func() {
		tb.Helper()
		if !tb.Failed() && !tb.Skipped() {
			tb.Log(c.Line())
		}
	})
}
