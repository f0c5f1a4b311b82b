package testenv

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// Recorded says that this kernel records a capability fully, if the test passes. Like its siblings it may be called at the
// start: whatever the test finds wrong until it ends keeps it from being said.
//
// A capability is a row of docs/kernels.md and of the table in internal/kernels/capabilities.go. Exactly one test says how a
// kernel stands to it, by what the kernel does and not by its version; the table says what is expected, and a
// kernel that differs fails `make test-kernels`.
func Recorded(tb testing.TB, capability string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Recorded})
}

// FallsBack says that this kernel cannot do it all, and to what the recording falls back.
func FallsBack(tb testing.TB, capability, to string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.FallsBack, Text: to})
}

// Refused says that there is nothing to record on this kernel, or that it is refused, and why.
func Refused(tb testing.TB, capability, reason string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Refused, Text: reason})
}

// Reports says what a capability, of which there is more to say than that, is on this kernel.
func Reports(tb testing.TB, capability, value string) {
	tb.Helper()
	say(tb, guest.Capability{Name: capability, State: guest.Reported, Text: value})
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
