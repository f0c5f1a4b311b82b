package probe

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The kernel unmaps memory while it collects it in a huge page: now and then nobody knew whose a flow was.
func TestMemoryIsNotCollectedInHugePagesWhileGoroutinesAreRead(t *testing.T) {
	disabled := func() int {
		t.Helper()
		n, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
		check(t, err)
		return n
	}
	before := disabled()
	t.Run("recorded", func(t *testing.T) {
		newApart(t)
		t.Run("twice", func(t *testing.T) {
			newApart(t)
		})
		if disabled() == 0 {
			t.Error("huge pages are collected although a probe reads goroutines")
		}
	})
	if got := disabled(); got != before {
		t.Errorf("huge pages are disabled: %d, want %d as before", got, before)
	}
}
