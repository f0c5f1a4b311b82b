package probe

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Mixed says why what is opened in recordings that overlap is not told apart: goroutines, or only the processes that
// they start. Both are "" where it is.
func (p *Probe) Mixed() (goroutines, children string) {
	if p.mixed != "" {
		return p.mixed, ""
	}
	return "", p.orphans
}

// attachFamily attaches what follows forks and exits, without which children belong to no recording in particular, and are in
// scope in the leaf only.
func (p *Probe) attachFamily() {
	for name, program := range map[string]*ebpf.Program{
		"sched_wakeup_new":   p.objects.ProcessForks,
		"sched_process_exit": p.objects.ProcessExits,
		"sched_process_exec": p.objects.ProcessExecs,
	} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: program})
		if err != nil {
			p.orphans = fmt.Sprintf("attach eBPF program %s: %v", name, err)
			return
		}
		p.links = append(p.links, l)
	}
}

// attachMkdir attaches what tells of cgroups that are being made. Without it those tell that have opened something.
func (p *Probe) attachMkdir() {
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "cgroup_mkdir", Program: p.objects.CgroupMade})
	if err == nil {
		p.links = append(p.links, l)
	}
}

// attachEnter attaches what tells of tasks that come into cgroups that are older than the recording.
func (p *Probe) attachEnter() {
	if p.outside != "" {
		return
	}
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "cgroup_attach_task", Program: p.objects.CgroupEntered})
	if err != nil {
		p.outside = fmt.Sprintf("attach eBPF program cgroup_attach_task: %v", err)
		return
	}
	p.links = append(p.links, l)
}

// maxChecks is how often a goroutine is looked at that cannot be read at that moment.
const maxChecks = 10

var errUnread = errors.New("the programs cannot read the memory of goroutines")

// checkGoroutines proves that the programs know the goroutines of this process, by some with labels and on threads of
// their own; where they do not, recordings are mixed.
func (p *Probe) checkGoroutines(pid int) error {
	if p.mixed != "" {
		return nil
	}
	if !p.readable {
		if err := keepReadable(); err != nil {
			p.mixed = err.Error()
			return nil
		}
		p.readable = true
	}
	if err := p.tellApart(uint32(pid)); err != nil {
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
			p.mixed = err.Error()
			return p.tellApart(0)
		}
	}
	return nil
}

// tellApart lets the programs read the goroutines of a process: this one, or 0 for none.
func (p *Probe) tellApart(process uint32) error {
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
	stack := p.stacks.take(keyOf(s.Connected))
	if stack == nil {
		return errUnread
	}
	if stack.Goroutine != goroutine.Current() || !has(stack, "probe.(*Probe).checkGoroutine") {
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

func has(s *goroutine.Stack, function string) bool {
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

// Own says that the calling goroutine belongs to a recording, and so do those that it starts, also where the program under
// test takes the label away; with 0, that it belongs to none any more. The number of such goroutines is bounded: the oldest
// are forgotten.
func (p *Probe) Own(id goroutine.ID) error {
	if p.mixed != "" {
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

// OwnLabels says that all goroutines with a set of labels belong to a recording, so that the programs need not read it;
// with 0, that they do not know. The set has to stay where it is meanwhile, see [goroutine.Labels].
func (p *Probe) OwnLabels(set uint64, id goroutine.ID) error {
	if p.mixed != "" || set == 0 {
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

// stacks are those of which the kernel told, and whose flow has not come yet. Those of datagram sockets that were
// connected, but sent nothing, never find theirs.
type stacks struct {
	mu    sync.Mutex
	byKey map[Key]*goroutine.Stack
	order []Key
}

// maxStacks is how many may wait for their flow.
const maxStacks = 4096

func (s *stacks) add(k Key, stack *goroutine.Stack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil {
		s.byKey = make(map[Key]*goroutine.Stack)
	}
	k.Births, k.Generation = 0, 0
	if _, waits := s.byKey[k]; !waits {
		s.order = append(s.order, k)
	}
	s.byKey[k] = stack
	if len(s.order) > maxStacks {
		delete(s.byKey, s.order[0])
		s.order = s.order[1:]
	}
}

// take returns the stack of a flow, or nil.
func (s *stacks) take(k Key) *goroutine.Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	k.Births, k.Generation = 0, 0
	stack, known := s.byKey[k]
	if known {
		delete(s.byKey, k)
		if i := slices.Index(s.order, k); i >= 0 {
			s.order = slices.Delete(s.order, i, i+1)
		}
	}
	return stack
}

func stackOf(e *bpf.RecordStackEvent) *goroutine.Stack {
	s := &goroutine.Stack{Goroutine: e.Goroutine, Parent: e.Parent, Creator: uintptr(e.Creator)}
	for _, address := range e.Frames[:min(int(e.Length), len(e.Frames))] {
		s.Addresses = append(s.Addresses, uintptr(address))
	}
	s.Cut = len(s.Addresses) == len(e.Frames)
	return s
}
