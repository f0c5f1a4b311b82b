package goroutine

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Stack is the call stack of a system call of this process, as an eBPF program read it.
type Stack struct {
	Time      time.Duration // CLOCK_MONOTONIC
	Goroutine uint64        // its id
	Parent    uint64        // id of the goroutine that started it
	Creator   uintptr       // return address of the go statement
	Addresses []uintptr     // return addresses from the system call outward
	Cut       bool          // further addresses may be missing
}

const (
	// Reading all goroutines stops the program. It may take this much time at once, and this share of the time overall.
	burst = 200 * time.Millisecond
	share = 10
)

// Tracer turns stacks into calls. It is not safe for concurrent use.
type Tracer struct {
	all    map[uint64]trace // the goroutines at the last read
	cut    bool             // further goroutines are missing
	taken  time.Duration    // when the last read began
	budget time.Duration    // time for further reads, as of then
}

// Trace returns the calls of a stack, innermost first. If none of them is in the main module, it adds the go statement
// that started the goroutine (Started) and the calls of the parent goroutine, as long as the parent still waits in the
// library that started the child, as a gRPC client's first goroutine does. If that leads to no call of the main module,
// and exactly one goroutine of the main module waits in that library, Trace appends that goroutine's calls behind a go
// statement that it marks as Ended. The calls end with the go statement if no goroutine waits, and if reading all
// goroutines would take too much of the program's time.
func (t *Tracer) Trace(s Stack) []flow.Frame {
	frames := Frames(s.Addresses)
	if n := len(frames); n > 0 && frames[n-1].Function == "runtime.goexit" {
		frames = frames[:n-1]
	}
	if slices.ContainsFunc(frames, inModule) || s.Parent == 0 || s.Cut { // a missing call may be in the main module
		return frames
	}
	creators := Frames([]uintptr{s.Creator})
	if len(creators) == 0 {
		return frames
	}
	started := creators[0]
	started.Started = true
	if inModule(started) || !t.refresh(s.Time) {
		return append(frames, started)
	}
	_, alive := t.all[s.Goroutine]
	started.Ended = !alive && !t.cut
	frames = t.follow(append(frames, started), s.Parent)
	if last := &frames[len(frames)-1]; last.Started && !inModule(*last) {
		if waits, found := t.waitsIn(library(last.Package())); found {
			last.Ended = true
			frames = append(frames, waits.frames...)
		}
	}
	return frames
}

// waitsIn returns the one goroutine in which the main module called a library and waits for it. It returns false if
// there are several, or some may be unknown.
func (t *Tracer) waitsIn(lib string) (waits trace, found bool) {
	for _, other := range t.all {
		caller := slices.IndexFunc(other.frames, inModule)
		if caller < 0 || !isIn(other.frames[:caller], lib) || slices.ContainsFunc(other.frames[:caller], serves) {
			continue
		}
		if found {
			return trace{}, false
		}
		waits, found = other, true
	}
	return waits, found && !t.cut
}

// isIn reports whether one of the calls is in a library.
func isIn(frames []flow.Frame, lib string) bool {
	return slices.ContainsFunc(frames, func(f flow.Frame) bool { return library(f.Package()) == lib })
}

// serves reports whether a call waits for clients, and so does not wait for a connection that it opened.
func serves(f flow.Frame) bool {
	name := f.Function[strings.LastIndexByte(f.Function, '.')+1:]
	return strings.HasPrefix(name, "Serve") || strings.HasPrefix(name, "ListenAndServe") ||
		strings.HasPrefix(name, "Accept")
}

// library returns the common prefix of the packages of one library: the path of its repository, as far as a package
// path shows it. A package of the standard library is a library by itself.
func library(path string) string {
	host, _, _ := strings.Cut(path, "/")
	n := 2
	switch host {
	case "github.com", "gitlab.com", "bitbucket.org", "golang.org":
		n = 3
	default:
		if !strings.Contains(host, ".") {
			return path
		}
	}
	elements := strings.Split(path, "/")
	return strings.Join(elements[:min(n, len(elements))], "/")
}

// follow adds the calls of the goroutine that waits for the one that the last call started.
func (t *Tracer) follow(frames []flow.Frame, parent uint64) []flow.Frame {
	for followed := make(map[uint64]bool); !followed[parent]; {
		followed[parent] = true
		started, waits := frames[len(frames)-1], t.all[parent]
		inside := waits.frames
		caller := slices.IndexFunc(inside, inModule)
		if caller >= 0 {
			inside = inside[:caller]
		}
		if !isIn(inside, library(started.Package())) {
			return frames // it has continued with something else
		}
		frames = append(frames, waits.frames...)
		if caller >= 0 || waits.parent == 0 {
			return frames
		}
		frames = append(frames, waits.creator)
		if parent = waits.parent; inModule(waits.creator) {
			return frames
		}
	}
	return frames
}

// refresh ensures that the goroutines are known as of since or later, unless that takes too long.
func (t *Tracer) refresh(since time.Duration) bool {
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

func inModule(f flow.Frame) bool { return f.In(Module()) }

// monotonic returns the time of the clock that the kernel's events use.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // cannot fail for this clock
	}
	return time.Duration(t.Nano())
}
