package session

import (
	"cmp"
	"errors"
	"os"
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
	Leaf  *cgroup.Leaf // this process's own cgroup
	Self  probe.Self   // how the kernel's hooks see this process

	// Unclear are the processes that this one may have started before the session, and of which that is not certain: they are
	// not recorded.
	Unclear []flow.Process

	self   atomic.Int64 // this process in the initial pid namespace; 0 while unknown
	passed func(Step, string)
	tracer goroutine.Tracer // of the goroutine that reads events
}

// Open goes through the steps. It moves this process, and those that descend from it and are in its cgroup, into a new
// leaf, also those that have lost their parents since, as far as that can be told ([endpoint.Orphans]), or were in the leaf of a
// session before; handle gets every event, from one goroutine, the first ones before Open returns. passed is told of each step
// that was taken, with a detail for people. It may be nil, and so may newborn. Errors: *[Error], which wraps those of packages
// cgroup and probe.
func Open(sizes probe.Sizes, handle func([]probe.Event), passed func(Step, string), newborn Newborn) (*Session, error) {
	if passed == nil {
		passed = func(Step, string) {}
	}
	s := &Session{passed: passed}
	if err := s.open(sizes, handle, newborn); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// CheckPrograms tells of a step that was not come to, whether the programs could be loaded. Errors: *[Error].
func CheckPrograms() error {
	if err := probe.CheckLoad(); err != nil {
		return &Error{Programs, err}
	}
	return nil
}

// Executables says who names executables: the kernel, or "/proc" where it does not, and then why.
func (s *Session) Executables() (who, why string) {
	if why = s.Probe.Unnamed(); why != "" {
		return "/proc", why
	}
	return "the kernel", ""
}

// Mixed says why what tests open that run in parallel is not told apart: all of it, or what their child processes do. Both
// are "" where it is.
func (s *Session) Mixed() (goroutines, children string) { return s.Probe.Unattributed() }

// ownRights says what privileges this process and those that it starts can have.
func ownRights() (confined, mayMount bool) {
	rights, err := probe.ReadRights()
	if err != nil {
		return false, false
	}
	return rights.Confined(), rights.MayMount()
}

func (s *Session) open(sizes probe.Sizes, handle func([]probe.Event), newborn Newborn) error {
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
	if s.Probe, err = probe.Open(s.Tree.Root, sizes, probe.Handler{ReadProcess: s.look, Unrelated: newborn, Handle: handle}); err != nil {
		return &Error{Programs, err}
	}
	s.passed(Programs, "loaded and attached to "+s.Tree.Root)
	before, err := s.enter()
	if err != nil {
		return &Error{Leaf, err}
	}
	s.passed(Leaf, s.Leaf.Path)
	if s.Self, err = s.Probe.Check(s.Leaf.ID); err != nil {
		return &Error{Hooks, err}
	}
	s.self.Store(int64(s.Self.PID))
	if err := s.adopt(os.Getpid()); err != nil {
		return &Error{Hooks, err}
	}
	if err := s.gather(before); err != nil {
		return &Error{Leaf, err}
	}
	if newborn != nil {
		if err := s.Probe.TrackNewCgroups(s.Leaf.ID); err != nil {
			return &Error{Hooks, err}
		}
	}
	s.passed(Hooks, "they see this process")
	return nil
}

// enter moves this process into a leaf that is watched: what it starts from now on is born there. It returns the processes
// that descended from it before.
func (s *Session) enter() (before []process, err error) {
	if s.Leaf, err = cgroup.NewLeaf(s.Tree); err != nil {
		return nil, err
	}
	if err := s.Probe.Watch(s.Leaf.ID); err != nil {
		return nil, err
	}
	descendants, err := endpoint.Descendants(os.Getpid())
	if err != nil {
		return nil, err
	}
	before = identify(descendants)
	return before, s.Leaf.Move(os.Getpid())
}

// adopt makes up for the sockets that a process made before.
func (s *Session) adopt(pid int) error {
	opener := probe.Initiator{PID: pid}
	if pid == os.Getpid() {
		opener.PID = s.Self.PID
	}
	opener.Process = s.look(opener, nil)
	opener.Executable = opener.Process.Name
	return s.Probe.TrackSockets(pid, s.Leaf.ID, s.netnsOf(pid), opener)
}

// look tells what process opened something. In another pid namespace than the initial one only this process is known.
// The kernel's word for the executable counts, because the process may have ended, or become another one, by now.
func (s *Session) look(o probe.Initiator, stack *goroutine.Stack) flow.Process {
	var calls []flow.Frame
	if stack != nil {
		calls = s.tracer.Trace(*stack) // first: who waits for it does not wait for us
	}
	pid := o.PID
	switch self := int(s.self.Load()); {
	case pid == self:
		pid = os.Getpid()
	case self != 0 && self != os.Getpid():
		pid = 0
	}
	var p flow.Process
	if pid != 0 {
		p, _ = endpoint.ReadProcess(pid)
	}
	if o.Executable != "" && !strings.HasPrefix(p.Name, o.Executable) { // which is cut off at some length
		p.Command, p.Executable = "", "" // another program's
	}
	if pid != 0 && pid != os.Getpid() {
		p.Parents = endpoint.Parents(pid, os.Getpid())
		if len(p.Parents) == 0 {
			p.Parents = endpoint.ParentsInside(pid)
		}
		p.Exec = endpoint.ExecInside(pid)
	}
	p.PID, p.Name, p.Stack = pid, cmp.Or(o.Executable, p.Name, o.Comm), calls
	return p
}

// Close brings the processes back to where they were, removes the leaf and detaches the programs.
func (s *Session) Close() error {
	var errs []error
	if s.Leaf != nil {
		errs = append(errs, s.remember(), s.Leaf.Leave())
	}
	if s.Probe != nil {
		errs = append(errs, s.Probe.Close())
	}
	return errors.Join(errs...)
}
