package probe

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Unattributed says why what is opened in recordings that overlap is not told attribution: goroutines, or only the processes that
// they start. Both are "" where it is.
func (p *Probe) Unattributed() (goroutines, children string) {
	if p.unattributed != "" {
		return p.unattributed, ""
	}
	return "", p.untracked
}

// maxChecks is how often a goroutine is looked at that cannot be read at that moment.
const maxChecks = 10

var errUnread = errors.New("the programs cannot read the memory of goroutines")

// checkGoroutines proves that the programs know the goroutines of this process, by some with labels and on threads of
// their own; where they do not, recordings are mixed.
func (p *Probe) checkGoroutines(pid int) error {
	if p.unattributed != "" {
		return nil
	}
	if !p.hugePagesOff {
		if err := disableHugePages(); err != nil {
			p.unattributed = err.Error()
			return nil
		}
		p.hugePagesOff = true
	}
	if err := p.setProcess(uint32(pid)); err != nil {
		return err
	}
	const threads = 3
	var ready, done sync.WaitGroup
	ready.Add(threads)
	errs := make([]error, threads)
	for i := range errs {
		done.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			ready.Wait()
			errs[i] = errUnread
			for n := 0; n < maxChecks && errors.Is(errs[i], errUnread); n++ {
				errs[i] = p.checkGoroutine()
			}
		})
	}
	done.Wait()
	for _, err := range errs {
		if err != nil {
			p.unattributed = err.Error()
			return p.setProcess(0)
		}
	}
	return nil
}

// setProcess lets the programs read the goroutines of a process: this one, or 0 for none.
func (p *Probe) setProcess(process uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = process
	return p.configure()
}

// checkGoroutine connects with and without a label, and looks at what the programs make of it.
func (p *Probe) checkGoroutine() error {
	id := goroutine.NewID()
	unmark := goroutine.Mark(id)
	defer unmark()
	s, err := p.tryConnect()
	if err != nil {
		return err
	}
	got := goroutine.ID(s.Connected.Recording)
	if got == goroutine.Unread {
		return errUnread
	}
	if got != id {
		return fmt.Errorf("the programs do not find the label of a goroutine: %q instead of %q", got, id)
	}
	if err := p.Sync(); err != nil {
		return err
	}
	stack := p.stacks.pop(keyOf(s.Connected))
	if stack == nil {
		return errUnread
	}
	if stack.Goroutine != goroutine.Current() || !hasFrame(stack, "probe.(*Probe).checkGoroutine") {
		return fmt.Errorf("the programs do not find the stack of a goroutine")
	}
	unmark()
	if s, err = p.tryConnect(); err != nil {
		return err
	}
	if goroutine.ID(s.Connected.Recording) == id {
		return fmt.Errorf("the programs find a label that a goroutine has no more")
	}
	return nil
}

func hasFrame(s *goroutine.Stack, function string) bool {
	return slices.ContainsFunc(goroutine.Frames(s.Addresses), func(f flow.Frame) bool {
		return strings.HasSuffix(f.Function, "/"+function)
	})
}

// tryConnect connects a UDP socket on loopback, which sends nothing, and returns what the programs noted of it.
func (p *Probe) tryConnect() (s bpf.RecordSocket, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return s, fmt.Errorf("check hooks: make socket: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return s, fmt.Errorf("check hooks: connect socket: %w", err)
	}
	if err := p.objects.Sockets.Lookup(int32(fd), &s); err != nil {
		return s, fmt.Errorf("check hooks: %w", err)
	}
	return s, nil
}

// AttributeGoroutine says that the calling goroutine belongs to a recording, and so do those that it starts, also where the program under
// test takes the label away; with 0, that it belongs to none any more. The number of such goroutines is bounded: the oldest
// are forgotten.
func (p *Probe) AttributeGoroutine(id goroutine.ID) error {
	if p.unattributed != "" {
		return nil
	}
	var err error
	if id == 0 {
		err = p.objects.Goroutines.Delete(goroutine.Current())
	} else {
		err = p.objects.Goroutines.Update(goroutine.Current(), uint64(id), ebpf.UpdateAny)
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("note whose a goroutine is: %w", err)
	}
	return nil
}

// AttributeLabels says that all goroutines with a set of labels belong to a recording, so that the programs need not read it;
// with 0, that they do not know. The set has to stay where it is meanwhile, see [goroutine.Labels].
func (p *Probe) AttributeLabels(set uint64, id goroutine.ID) error {
	if p.unattributed != "" || set == 0 {
		return nil
	}
	var err error
	if id == 0 {
		err = p.objects.LabelSets.Delete(set)
	} else {
		err = p.objects.LabelSets.Update(set, uint64(id), ebpf.UpdateAny)
	}
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("note whose a set of labels is: %w", err)
	}
	return nil
}
