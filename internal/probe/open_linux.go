package probe

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/netzero-dev/netzero/bpf"
)

// objects holds the programs and maps of the object, without the variables.
type objects struct {
	bpf.RecordPrograms
	bpf.RecordMaps
}

// Probe is a set of attached programs. Close detaches them; if the process dies, the kernel does.
type Probe struct {
	objects           objects
	sizes             Sizes
	layout            layout
	shared            map[string]*ebpf.Map // what the programs that refuse share; see EnableEnforcement
	variables         *ebpf.Map            // those that programs write
	links             []link.Link
	hooks             map[ebpf.AttachType]link.Link // those at the cgroup
	handler           Handler
	ring              *ring
	queue             *queue
	unnamed           string         // why the programs do not read names of executables, or ""
	unattributed      string         // why they do not read goroutines, or ""
	untracked         string         // why they do not track descendants, or ""
	entriesUnreported string         // why they do not report entries into older cgroups, or ""
	reportsCreation   bool           // they report every cgroup that is created
	done              sync.WaitGroup // of the goroutines that read events
	lostBefore        Loss           // the pause

	syncing sync.Mutex
	flushed chan barrier  // from Sync to the reader, which queues it
	stopped chan struct{} // closed after the last delivery
	stacks  stacks

	mu              sync.Mutex
	generation      uint32
	level           uint32
	newCgroupsAfter uint64 // the leaf: newer cgroups are tracked; 0: none
	concurrent      bool   // several recordings are active
	hugePagesOff    bool   // disableHugePages was called
	process         uint32 // this process, once its goroutines are read; else 0
	leaf            uint64 // the scope of descendants, once they are tracked; else 0
	ancestor        uint32 // this process, once its descendants are tracked; else 0
	scanning        bool   // some descendants may be unknown
	failure         error  // of the reader
	enforcement     enforcement
	requests        *requestReader // nil until it is enabled
	root            string         // where the programs are attached
}

// Open loads the programs, attaches them to root, a directory of the cgroup v2 tree, and delivers every event to the
// handler. Nothing is in scope before Watch. Errors: *[PermissionError], [ErrNotSupported].
func Open(root string, sizes Sizes, handler Handler) (*Probe, error) {
	if err := rlimit.RemoveMemlock(); err != nil && !errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("raise memlock limit: %w", err)
	}
	go readObject() // meanwhile loadWithNames finds what the programs have to know
	p := &Probe{
		handler: handler, flushed: make(chan barrier, 1), hooks: make(map[ebpf.AttachType]link.Link), root: root,
	}
	if err := p.loadWithNames(sizes); err != nil {
		return nil, fmt.Errorf("load: %w", classify(err))
	}
	var err error
	if p.ring, err = newRing(p.objects.Events); err != nil {
		return nil, errors.Join(fmt.Errorf("read ring buffer: %w", err), p.Close())
	}
	p.start()
	_, err = p.NextGeneration() // generation 0 stands for everything older
	if err == nil {
		err = p.attach(root)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// start starts to read and deliver events.
func (p *Probe) start() {
	p.queue, p.stopped = newQueue(), make(chan struct{})
	p.done.Go(p.read)
	p.done.Go(func() {
		defer close(p.stopped)
		p.queue.deliver(p.handler.Handle)
	})
}

// CheckLoad reports whether the programs load, without attaching them. Errors: those of [Open].
func CheckLoad() error {
	if err := rlimit.RemoveMemlock(); err != nil && !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("raise memlock limit: %w", err)
	}
	p := &Probe{}
	if err := p.loadWithNames(Sizes{}); err != nil {
		return fmt.Errorf("load: %w", classify(err))
	}
	return p.Close()
}

// loadWithNames loads the programs. If the kernel rejects those that read its memory, it leaves that out.
func (p *Probe) loadWithNames(sizes Sizes) error {
	layout, err := taskLayout()
	if err != nil {
		return err
	}
	if err := checkTracing(); err != nil {
		return err
	}
	p.unnamed, p.unattributed, p.untracked = layout.unnamed, layout.unattributed, layout.untracked
	if layout.Id == 0 {
		p.entriesUnreported = cmp.Or(layout.unnamed, layout.untracked,
			"the kernel's BTF has no offset of a cgroup's id")
	}
	err = p.load(sizes, layout)
	if err != nil && layout.unattributed == "" {
		layout.attribution = attribution{}
		if p.load(sizes, layout) == nil {
			p.unattributed = fmt.Sprintf("the kernel does not let eBPF programs read goroutine labels: %v", err)
			return nil
		}
	}
	if err != nil && layout.RecordTaskLayout != (bpf.RecordTaskLayout{}) {
		layout.RecordTaskLayout, layout.family, layout.sender = bpf.RecordTaskLayout{}, bpf.RecordFamilyLayout{}, sender{}
		layout.pidNamespace = bpf.RecordPidNamespaceLayout{}
		if p.load(sizes, layout) == nil {
			p.unnamed = "the kernel does not let eBPF programs read its memory" + lockdown()
			p.unattributed, p.untracked, p.entriesUnreported = p.unnamed, p.unnamed, p.unnamed
			return nil
		}
	}
	return err
}

// checkTracing loads an empty program of the type that needs the most capabilities. Without CAP_PERFMON the kernel
// rejects it at once. For our own programs, older verifiers would first follow both sides of every branch, as a
// speculating CPU might: on Linux 5.10 for minutes.
func checkTracing() error {
	nothing, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type:         ebpf.RawTracepoint,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
		License:      "Dual BSD/GPL",
	})
	if err != nil {
		return err
	}
	return nothing.Close()
}

// Unnamed says why the programs do not read names of executables. Then the names come from /proc, if the process still
// runs. It returns "" if they do.
func (p *Probe) Unnamed() string { return p.unnamed }

// load creates the maps and loads the programs.
func (p *Probe) load(sizes Sizes, layout layout) error {
	spec, err := specOf(sizes, layout)
	if err != nil {
		return err
	}
	loaded, err := loadCollection(spec, nil)
	if err != nil {
		return err
	}
	defer loaded.Close() // what is not assigned
	p.sizes, p.layout, p.shared = sizes, layout, make(map[string]*ebpf.Map)
	for name, m := range loaded.Maps {
		if name != constants && name != bpf.RecordMapScratch { // its values differ
			p.shared[name] = m
		}
	}
	p.variables = loaded.DetachMap(variables)
	return loaded.Assign(&p.objects)
}

// The maps of global variables.
const (
	constants = ".rodata"
	variables = ".bss"
)

// readObject parses the object once in a process: that takes about as long as loading one program.
var readObject = sync.OnceValues(bpf.LoadRecord)

// specOf returns the collection to load.
func specOf(sizes Sizes, layout layout) (*ebpf.CollectionSpec, error) {
	read, err := readObject()
	if err != nil {
		return nil, err
	}
	spec := read.Copy()
	return spec, configureSpec(spec, sizes, layout)
}

// configureSpec sets the constants of a collection, and the sizes of its maps.
func configureSpec(spec *ebpf.CollectionSpec, sizes Sizes, layout layout) error {
	readable := uint32(0)
	if layout.Owned != 0 && layout.goroutine.Labels != 0 {
		readable = 1
	}
	for name, value := range map[string]any{
		bpf.RecordVarTaskLayout:         layout.RecordTaskLayout,
		bpf.RecordVarGoroutineLayout:    layout.goroutine,
		bpf.RecordVarFamilyLayout:       layout.family,
		bpf.RecordVarSenderLayout:       layout.RecordSenderLayout,
		bpf.RecordVarSenderReadable:     readable,
		bpf.RecordVarPidNamespaceLayout: layout.pidNamespace,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return err
		}
	}
	spec.Maps[bpf.RecordMapEvents].MaxEntries = cmp.Or(sizes.RingBytes, DefaultSizes.RingBytes)
	spec.Maps[bpf.RecordMapFlows].MaxEntries = cmp.Or(sizes.MaxFlows, DefaultSizes.MaxFlows)
	spec.Maps[bpf.RecordMapServerNames].MaxEntries = cmp.Or(sizes.MaxFlows, DefaultSizes.MaxFlows)
	spec.Maps[bpf.RecordMapScopes].MaxEntries = cmp.Or(sizes.MaxCgroups, DefaultSizes.MaxCgroups)
	return nil
}

// attach attaches every program to root by a link, which the kernel removes when this process dies. Other programs at
// root stay attached, and run too.
func (p *Probe) attach(root string) error {
	dir, err := os.Open(root)
	if err != nil {
		return fmt.Errorf("attach eBPF programs: %w", err)
	}
	defer dir.Close()
	for _, hook := range []struct {
		program *ebpf.Program
		attach  ebpf.AttachType
	}{
		{p.objects.Connect4, ebpf.AttachCGroupInet4Connect},
		{p.objects.Connect6, ebpf.AttachCGroupInet6Connect},
		{p.objects.Sendmsg4, ebpf.AttachCGroupUDP4Sendmsg},
		{p.objects.Sendmsg6, ebpf.AttachCGroupUDP6Sendmsg},
		{p.objects.PostBind4, ebpf.AttachCGroupInet4PostBind},
		{p.objects.PostBind6, ebpf.AttachCGroupInet6PostBind},
		{p.objects.SockCreate, ebpf.AttachCGroupInetSockCreate},
		{p.objects.Egress, ebpf.AttachCGroupInetEgress},
		{p.objects.Ingress, ebpf.AttachCGroupInetIngress},
	} {
		l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: hook.program, Attach: hook.attach})
		if err != nil {
			return fmt.Errorf("attach eBPF program %s to %s: %w", hook.attach, root, classify(err))
		}
		p.links = append(p.links, l)
		p.hooks[hook.attach] = l
	}
	if p.untracked == "" {
		p.attachProcessTracking()
	}
	p.attachCgroupCreation()
	p.attachCgroupEntry()
	return nil
}

// attachProcessTracking attaches the programs that see forks, exits and execs. Without them, child processes belong to
// no recording, and are in scope in the leaf only.
func (p *Probe) attachProcessTracking() {
	for name, program := range map[string]*ebpf.Program{
		"sched_wakeup_new":   p.objects.ProcessForks,
		"sched_process_exit": p.objects.ProcessExits,
		"sched_process_exec": p.objects.ProcessExecs,
	} {
		l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: name, Program: program})
		if err != nil {
			p.untracked = fmt.Sprintf("attach eBPF program %s: %v", name, err)
			return
		}
		p.links = append(p.links, l)
	}
}

// attachCgroupCreation attaches the program that reports cgroups when they are created. Without it, a cgroup is
// reported at its first flow.
func (p *Probe) attachCgroupCreation() {
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "cgroup_mkdir", Program: p.objects.CgroupMade})
	if err == nil {
		p.links = append(p.links, l)
		p.reportsCreation = p.unnamed == ""
	}
}

// ReportsCreation reports whether there is a [MkdirEvent] for each cgroup that is created.
func (p *Probe) ReportsCreation() bool { return p.reportsCreation }

// attachCgroupEntry attaches the program that reports tasks that enter older cgroups.
func (p *Probe) attachCgroupEntry() {
	if p.entriesUnreported != "" {
		return
	}
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{
		Name: "cgroup_attach_task", Program: p.objects.CgroupEntered,
	})
	if err != nil {
		p.entriesUnreported = fmt.Sprintf("attach eBPF program cgroup_attach_task: %v", err)
		return
	}
	p.links = append(p.links, l)
}

// Close detaches and unloads the programs. It drops undelivered events: call Sync first.
func (p *Probe) Close() error {
	errs := []error{p.requests.close()}
	for _, l := range p.links {
		errs = append(errs, l.Close())
	}
	if p.ring != nil {
		errs = append(errs, p.ring.stop())
		p.done.Wait()
		errs = append(errs, p.ring.close())
	}
	errs = append(errs, p.objects.RecordPrograms.Close(), p.objects.RecordMaps.Close(), p.variables.Close())
	errs = append(errs, p.enforcement.close())
	if p.hugePagesOff {
		p.hugePagesOff = false
		errs = append(errs, restoreHugePages())
	}
	return errors.Join(errs...)
}
