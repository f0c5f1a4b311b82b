//go:build unix

package testenv

import (
	"os"
	"os/signal"
	"testing"
)

// DefaultSignals lets the commands that a test starts get these signals, even if this process ignores them: a shell
// starts jobs in the background so, and programs inherit it. The commands have the default action for the signals.
func DefaultSignals(tb testing.TB, signals ...os.Signal) {
	caught := make(chan os.Signal, 1) // execve(2) resets a signal that is caught, and keeps one that is ignored
	signal.Notify(caught, signals...)
	tb.Cleanup(func() { signal.Stop(caught) })
}
