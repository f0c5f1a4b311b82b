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

// Unattributed says why flows of overlapping recordings are not attributed to one of them: all flows, or only those of
// child processes. Both results are "" if they are attributed.
func (p *Probe) Unattributed() (goroutines, children string) {
	if p.unattributed != "" {
		return p.unattributed, ""
	}
	return "", p.untracked
}

// maxChecks limits the attempts to read a goroutine.
const maxChecks = 10

var errUnread = errors.New("the eBPF programs cannot read the memory of goroutines")

// checkGoroutines proves that the programs read the labels of this process's goroutines, with several goroutines on
// threads of their own. If they do not, attribution is off.
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

// setProcess sets the process with the goroutines that the programs read: this one, or 0 for none.
func (p *Probe) setProcess(process uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.process = process
	return p.configure()
}

// checkGoroutine connects with and without a label, and compares what the programs read.
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
		return fmt.Errorf("the eBPF programs read goroutine label %q, want %q", got, id)
	}
	if err := p.Sync(); err != nil {
		return err
	}
	stack := p.stacks.pop(keyOf(s.Connected))
	if stack == nil {
		return errUnread
	}
	if stack.Goroutine != goroutine.Current() || !hasFrame(stack, "probe.(*Probe).checkGoroutine") {
		return fmt.Errorf("the eBPF programs cannot read the stack of a goroutine")
	}
	unmark()
	if s, err = p.tryConnect(); err != nil {
		return err
	}
	if goroutine.ID(s.Connected.Recording) == id {
		return fmt.Errorf("the eBPF programs read a goroutine label that was removed")
	}
	return nil
}

func hasFrame(s *goroutine.Stack, function string) bool {
	return slices.ContainsFunc(goroutine.Frames(s.Addresses), func(f flow.Frame) bool {
		return strings.HasSuffix(f.Function, "/"+function)
	})
}

// tryConnect connects a UDP socket on loopback, which sends nothing, and returns what the programs stored for it.
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

// AttributeGoroutine attributes the calling goroutine, and the goroutines that it starts, to a recording, also if the
// program under test replaces their labels. With 0 it ends that. The table is limited: the oldest goroutines are
// evicted.
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
		return fmt.Errorf("attribute goroutine: %w", err)
	}
	return nil
}

// AttributeLabels attributes all goroutines with a set of labels to a recording, so that the programs need not read the
// set. With 0 it ends that. Until then the set must not move, see [goroutine.Labels].
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
		return fmt.Errorf("attribute label set: %w", err)
	}
	return nil
}
