package session

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Session is the state in which this process is recorded, until Close.
type Session struct {
	Probe *probe.Probe
	Tree  cgroup.Tree
	Leaf  *cgroup.Leaf // the cgroup of this process
	Self  probe.Self   // how the kernel's hooks see this process

	// Unclear are processes that this process may have started before the session. They are not recorded.
	Unclear []flow.Process

	self   atomic.Int64 // the id of this process in the initial pid namespace; 0 if unknown
	passed func(Step, string)
	tracer goroutine.Tracer // used by the goroutine that reads events
}

// Open takes the steps in order. It moves this process and its descendants in the same cgroup into a new leaf cgroup.
// They include those from an earlier session's leaf cgroup, and those that have lost their parents, if
// [endpoint.Orphans] identifies them. If handler.Unrelated is set, all cgroups that are created during the session are
// recorded too (see [probe.Probe.TrackNewCgroups]). The first calls of handler's functions come before Open returns;
// Open sets ReadProcess. passed receives each completed step with a detail for people; it may be nil. Errors: *[Error],
// which wraps the errors of packages cgroup and probe.
func Open(sizes probe.Sizes, handler probe.Handler, passed func(Step, string)) (*Session, error) {
	if passed == nil {
		passed = func(Step, string) {}
	}
	s := &Session{passed: passed}
	if err := s.open(sizes, handler); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// CheckPrograms reports whether the programs would load, without attaching them. Errors: *[Error].
func CheckPrograms() error {
	if err := probe.CheckLoad(); err != nil {
		return &Error{Programs, err}
	}
	return nil
}

// Executables reports the source of executables' names: the kernel, or "/proc" and the reason for it.
func (s *Session) Executables() (who, why string) {
	if why = s.Probe.Unnamed(); why != "" {
		return "/proc", why
	}
	return "the kernel", ""
}

// AttributionGaps returns why the flows of parallel tests cannot be separated: all flows, or those of child processes.
// A reason is "" if they can.
func (s *Session) AttributionGaps() (goroutines, children string) { return s.Probe.Unattributed() }

// IsLaunched reports whether `netzero exec` gave this process a cgroup.
func IsLaunched() bool { return cgroup.IsDelegated() }

// ownRights returns the privileges that this process and its children can have.
func ownRights() (confined, mayMount bool) {
	rights, err := probe.ReadRights()
	if err != nil {
		return false, false
	}
	return rights.Confined(), rights.MayMount()
}

func (s *Session) open(sizes probe.Sizes, handler probe.Handler) error {
	release, err := probe.Release()
	if err == nil {
		err = probe.CheckRelease(release)
	}
	if err != nil {
		return &Error{Kernel, err}
	}
	s.passed(Kernel, release)
	if s.Tree, err = cgroup.FindTree(); err != nil {
		return &Error{Tree, err}
	}
	s.passed(Tree, s.Tree.Root)
	handler.ReadProcess = s.describe
	// The kernel makes a process wait until it may move to another cgroup. The programs load meanwhile.
	entered := make(chan entry, 1)
	go func() { entered <- s.enter() }()
	s.Probe, err = probe.Open(s.Tree.Root, sizes, handler)
	inside := <-entered
	if err != nil {
		return &Error{Programs, err}
	}
	s.passed(Programs, "loaded and attached to "+s.Tree.Root)
	if err = inside.err; err == nil {
		err = s.Probe.Watch(s.Leaf.ID)
	}
	if err != nil {
		return &Error{Leaf, err}
	}
	s.passed(Leaf, s.Leaf.Path)
	if s.Self, err = s.Probe.Check(s.Leaf.ID); err != nil {
		return &Error{Hooks, err}
	}
	s.self.Store(int64(s.Self.PID))
	if err := s.trackSockets(os.Getpid(), s.Probe.TrackSockets); err != nil {
		return &Error{Hooks, err}
	}
	if err := s.findDescendants(inside.before); err != nil {
		return &Error{Leaf, err}
	}
	if handler.Unrelated != nil {
		if err := s.Probe.TrackNewCgroups(s.Leaf.ID); err != nil {
			return &Error{Hooks, err}
		}
	}
	s.passed(Hooks, "the programs see this process")
	return nil
}

// entry is the result of enter.
type entry struct {
	before []process // descendants of this process that are older than the leaf
	err    error
}

// enter moves this process into a leaf cgroup, so that its children start there.
func (s *Session) enter() (e entry) {
	if s.Leaf, e.err = cgroup.NewLeaf(s.Tree); e.err != nil {
		return e
	}
	descendants, err := endpoint.Descendants(os.Getpid())
	if err != nil {
		return entry{err: err}
	}
	return entry{identify(descendants), s.Leaf.Move(os.Getpid())}
}

// RenewSockets records the sockets that the processes in scope have now, as if the session had just begun.
func (s *Session) RenewSockets() error {
	inside, err := s.Leaf.Processes()
	if err != nil {
		return err
	}
	descendants, err := s.Descendants()
	if err != nil {
		return err
	}
	for pid := range descendants {
		if !slices.Contains(inside, pid) {
			inside = append(inside, pid)
		}
	}
	for _, pid := range inside {
		if err := s.trackSockets(pid, s.Probe.RenewSockets); err != nil {
			return err
		}
	}
	return nil
}

// trackSockets records the sockets that a process made before. track is a method of the probe.
func (s *Session) trackSockets(pid int, track func(int, uint64, uint64, probe.Initiator) error) error {
	initiator := probe.Initiator{PID: pid}
	if pid == os.Getpid() {
		initiator.PID = s.Self.PID
	}
	initiator.Process = s.describe(initiator, nil)
	initiator.Executable = initiator.Process.Name
	return track(pid, s.Leaf.ID, s.netnsOf(pid), initiator)
}

// describe returns the process that opened a flow. Outside of the initial pid namespace only this process is known. The
// kernel's name of the executable takes precedence, because the process may have ended or executed another program
// since.
func (s *Session) describe(o probe.Initiator, stack *goroutine.Stack) flow.Process {
	var calls []flow.Frame
	if stack != nil {
		calls = s.tracer.Trace(*stack) // first, because the caller waits for it and not for the rest
	}
	pid := o.PID
	switch self := int(s.self.Load()); {
	case pid == self:
		pid = os.Getpid()
	case self != 0 && self != os.Getpid():
		pid = 0
	}
	var p flow.Process
	var inside []string
	var exec string
	if pid != 0 && pid != os.Getpid() {
		inside, exec = endpoint.Inside(pid)
	}
	if pid != 0 {
		p, _ = endpoint.ReadProcess(pid) // a process with a command line had not ended when Inside described it
	}
	if o.Executable != "" && !runs(p, o) {
		p.Command, p.Executable = "", "" // they are another program's
	}
	if pid != 0 && pid != os.Getpid() {
		p.Parents, p.Exec = endpoint.Parents(pid, os.Getpid()), exec
		if len(p.Parents) == 0 {
			p.Parents = inside
		}
	}
	p.PID, p.Name, p.Stack = pid, cmp.Or(o.Executable, p.Name, o.Comm), calls
	return p
}

// runs reports whether a process runs the program that the kernel named. The kernel truncates the name. The executable
// of another user's process is not readable without CAP_SYS_PTRACE: then its name is that of its first thread, which is
// the name by which the program was started, truncated further.
func runs(p flow.Process, o probe.Initiator) bool {
	return strings.HasPrefix(p.Name, o.Executable) ||
		p.Executable == "" && p.Name != "" && (p.Name == o.Comm || strings.HasPrefix(o.Executable, p.Name))
}

// Close moves the processes back, removes the leaf cgroup and detaches the programs.
func (s *Session) Close() error {
	var errs []error
	if s.Leaf != nil {
		errs = append(errs, s.saveDescendants(), s.Leaf.Leave())
	}
	if s.Probe != nil {
		errs = append(errs, s.Probe.Close())
	}
	return errors.Join(errs...)
}
