package docker

import (
	"runtime"
	"testing"
	"time"
)

// noGoroutines fails the test if more goroutines run than before, for longer than they need to end.
func noGoroutines(t *testing.T, reason string, before int) {
	t.Helper()
	for until := time.Now().Add(slack); runtime.NumGoroutine() > before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%s: %d goroutines, %d before:\n%s", reason, runtime.NumGoroutine(), before,
				stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestClose_NoGoroutineLeft(t *testing.T) {
	l := newLine(t)
	time.Sleep(100 * time.Millisecond) // the search for the engine's socket ends
	l.refuse(true)
	l.refuse(false)
	before := runtime.NumGoroutine()
	for _, c := range []struct {
		reason string
		wrong  func(*rig)
		right  func()
	}{
		{"all is well", func(r *rig) { r.remove("closed") }, func() {}},
		{"the engine is silent", func(*rig) { l.hush(true) }, l.speak},
		{"the engine is away", func(*rig) { l.refuse(true) }, func() { l.refuse(false) }},
	} {
		t.Run(c.reason, func(t *testing.T) {
			r := newRigAt(t, Config{Host: l.host})
			r.run("closed")
			if c.wrong(r); runtime.NumGoroutine() <= before {
				t.Error("a watch takes no goroutine")
			}
			began := time.Now()
			check(t, r.w.Close())
			if took := time.Since(began); took > slack {
				t.Errorf("Close took %v", took)
			}
			check(t, r.w.Close())
			c.right()
		})
		l.cut()
		noGoroutines(t, c.reason, before)
	}
}

func TestWatch_FailureLeavesNoGoroutine(t *testing.T) {
	l := newLine(t)
	time.Sleep(100 * time.Millisecond)
	before := runtime.NumGoroutine()
	l.hush(true)
	if w, err := Watch(t.Context(), Config{Host: l.host, Timeout: 100 * time.Millisecond}); err == nil {
		w.Close()
		t.Error("a silent engine is watched")
	}
	l.speak()
	l.cut()
	noGoroutines(t, "the engine is silent", before)
}
