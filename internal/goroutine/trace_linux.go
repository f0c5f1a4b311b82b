package goroutine

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/flow"
)

// Stack is from where a goroutine of this process asked for something, as an eBPF program has read it.
type Stack struct {
	Time      time.Duration // CLOCK_MONOTONIC
	Goroutine uint64        // its id
	Parent    uint64        // id of the goroutine that started it
	Creator   uintptr       // return address of the go statement
	Addresses []uintptr     // return addresses from the system call outward
	Cut       bool          // there may be more of them
}

const (
	// Looking at all goroutines stops the program. It may take this long at once, and this part of the time.
	burst = 200 * time.Millisecond
	share = 10
)

// Tracer turns stacks into calls. It is not safe for concurrent use.
type Tracer struct {
	all    map[uint64]trace // the goroutines as they were
	cut    bool             // there were more of them
	taken  time.Duration    // when the look at them began
	budget time.Duration    // for further looks, as of then
}

// Trace returns the calls that led to a stack, from the innermost outward: those of the goroutine, and where none of them
// is of the main module, the go statement that started it (Started) and the calls of the goroutine behind that, as long as
// it waits in the package that started the other. They end with the go statement where nobody waits any more, and where
// looking at all goroutines would take up too much of the program's time.
func (t *Tracer) Trace(s Stack) []flow.Frame {
	frames := Frames(s.Addresses)
	if n := len(frames); n > 0 && frames[n-1].Function == "runtime.goexit" {
		frames = frames[:n-1]
	}
	if slices.ContainsFunc(frames, own) || s.Parent == 0 || s.Cut { // what is missing may be of the main module
		return frames
	}
	creators := Frames([]uintptr{s.Creator})
	if len(creators) == 0 {
		return frames
	}
	started := creators[0]
	started.Started = true
	if own(started) || !t.look(s.Time) {
		return append(frames, started)
	}
	_, alive := t.all[s.Goroutine]
	started.Ended = !alive && !t.cut
	return t.follow(append(frames, started), s.Parent)
}

// follow adds who waits for the goroutine that the last of the calls has started.
func (t *Tracer) follow(frames []flow.Frame, parent uint64) []flow.Frame {
	for followed := make(map[uint64]bool); !followed[parent]; {
		followed[parent] = true
		started, waits := frames[len(frames)-1], t.all[parent]
		inside := waits.frames
		caller := slices.IndexFunc(inside, own)
		if caller >= 0 {
			inside = inside[:caller]
		}
		if !slices.ContainsFunc(inside, func(f flow.Frame) bool { return f.Package() == started.Package() }) {
			return frames // it has gone on, to something else
		}
		frames = append(frames, waits.frames...)
		if caller >= 0 || waits.parent == 0 {
			return frames
		}
		frames = append(frames, waits.creator)
		if parent = waits.parent; own(waits.creator) {
			return frames
		}
	}
	return frames
}

// look makes sure that the goroutines are known as they were at a time or later, if that does not take too long.
func (t *Tracer) look(since time.Duration) bool {
	if t.all != nil && since <= t.taken {
		return true
	}
	before := monotonic()
	if t.all == nil {
		t.budget = burst
	}
	if t.budget = min(t.budget+(before-t.taken)/share, burst); t.budget <= 0 {
		return false
	}
	t.all, t.cut = traces(maxDump)
	t.taken = before
	t.budget -= monotonic() - before
	return true
}

func own(f flow.Frame) bool { return f.In(Module()) }

// monotonic is the clock of the kernel's events.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot fail for this clock
	}
	return time.Duration(t.Nano())
}
