package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/bpf"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// readerNice is the nice value of the reading thread. On a busy machine a task would otherwise exit before ReadProcess
// looks at it.
const readerNice = -15

// read moves events from the ring buffer to the queue until the ring is closed.
func (p *Probe) read() {
	handler := p.handler
	defer p.queue.close()
	runtime.LockOSThread() // never unlocked, so that no other goroutine inherits its priority
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), readerNice)
	readProcess := handler.ReadProcess
	if readProcess == nil {
		readProcess = func(Initiator, *goroutine.Stack) flow.Process { return flow.Process{} }
	}
	unrelated := make(map[uint64]bool) // flows of these cgroups may still arrive, and need no process
	// Without timer slack: the kernel would prolong short waits so that several end at once.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for {
		sample, err := p.ring.next()
		switch {
		case errors.Is(err, errFlushed):
			p.queue.add(<-p.flushed)
			continue
		case err != nil:
			if !errors.Is(err, os.ErrClosed) {
				p.fail(fmt.Errorf("read ring buffer: %w", err))
			}
			return
		}
		e, err := decode(sample)
		if err != nil {
			p.fail(err)
			continue
		}
		switch e := e.(type) {
		case *stackEvent:
			p.stacks.add(stackKey(e.Key), e.stack)
			continue
		case *FlowEvent:
			p.nameTestProcess(&e.Initiator)
			if e.Stack = p.stacks.pop(e.Key); e.Stack != nil {
				e.Stack.Time = e.Time
			}
			if !unrelated[e.Cgroup] {
				e.Process = readProcess(e.Initiator, e.Stack)
			}
			if handler.Forget != nil && handler.Forget(e) {
				e.Forgotten, _ = p.Invalidate(e.Key) // on an error, the flow stays known
			}
		case *BindEvent:
			e.Process = readProcess(e.Initiator, nil)
		case *QuestionEvent:
			p.nameTestProcess(&e.Initiator)
			e.Stack = p.stacks.pop(lookupKey(e.Cgroup, e.Recording, e.socket))
			if !unrelated[e.Cgroup] {
				e.Process = readProcess(e.Initiator, e.Stack)
			}
		case *CgroupEvent:
			if handler.Unrelated != nil && handler.Unrelated(e) {
				unrelated[e.Cgroup] = true
				_ = p.Ignore(e.Cgroup) // on an error, its events keep coming and are dropped
			}
		case *MkdirEvent:
			if handler.Mkdir != nil {
				handler.Mkdir(e)
			}
			continue
		case *EnterEvent:
			if handler.Enter != nil {
				handler.Enter(e)
			}
			continue
		}
		p.queue.add(e)
	}
}

// nameTestProcess sets the executable of this process. The programs do not read that one.
func (p *Probe) nameTestProcess(o *Initiator) {
	if o.Executable != "" || o.PID == 0 {
		return
	}
	p.mu.Lock()
	isTestProcess := o.PID == int(p.process)
	p.mu.Unlock()
	if isTestProcess {
		o.Executable = testExecutable()
	}
}

// testExecutable returns the name that the programs would read for this process.
var testExecutable = sync.OnceValue(func() string {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return ""
	}
	name := filepath.Base(strings.TrimSuffix(path, " (deleted)"))
	return name[:min(len(name), len(bpf.RecordInitiator{}.Executable)-1)]
})

// fail stores the reader's first error for Sync.
func (p *Probe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil {
		p.failure = err
	}
}

// Sync returns once every event that the kernel wrote before the call is delivered.
func (p *Probe) Sync() error {
	p.syncing.Lock()
	defer p.syncing.Unlock()
	reached := make(barrier)
	p.flushed <- reached
	if err := p.ring.flush(); err != nil {
		<-p.flushed
		return fmt.Errorf("flush ring buffer: %w", err)
	}
	select {
	case <-reached:
	case <-p.stopped:
		return fmt.Errorf("flush ring buffer: %w", os.ErrClosed)
	}
	if err := p.requestReader().sync(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

func decode(sample []byte) (Event, error) {
	if len(sample) < 4 {
		return nil, fmt.Errorf("decode event: %d bytes", len(sample))
	}
	switch kind := bpf.RecordEventKind(binary.NativeEndian.Uint32(sample)); kind {
	case bpf.RecordEventKindEVENT_FLOW:
		var e bpf.RecordFlowEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode flow event: %w", err)
		}
		return &FlowEvent{
			Time: time.Duration(e.Time), Key: keyOf(e.Key), Initiator: initiatorOf(e.Initiator),
			Opened: e.Opened, Hint: e.Hint,
		}, nil
	case bpf.RecordEventKindEVENT_BIND:
		var e bpf.RecordBindEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode bind event: %w", err)
		}
		return &BindEvent{
			Time: time.Duration(e.Time),
			Key: Key{Cgroup: e.Cgroup, Netns: e.Netns, Addr: netip.AddrFrom16(e.Addr).Unmap(), Port: e.Port,
				Protocol: flow.Protocol(e.Protocol)},
			Initiator: initiatorOf(e.Initiator),
		}, nil
	case bpf.RecordEventKindEVENT_DNS:
		return decodeDNS(sample)
	case bpf.RecordEventKindEVENT_CGROUP:
		var e bpf.RecordCgroupEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode cgroup event: %w", err)
		}
		return cgroupEventOf(&e), nil
	case bpf.RecordEventKindEVENT_MKDIR:
		var e bpf.RecordMkdirEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode cgroup creation event: %w", err)
		}
		return &MkdirEvent{Time: time.Duration(e.Time), Path: cString(e.Path[:])}, nil
	case bpf.RecordEventKindEVENT_ENTER:
		var e bpf.RecordEnterEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode cgroup entry event: %w", err)
		}
		return &EnterEvent{Time: time.Duration(e.Time), Cgroup: e.Cgroup, By: e.By}, nil
	case bpf.RecordEventKindEVENT_CLIENT:
		var e bpf.RecordClientEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode engine client event: %w", err)
		}
		client := &ClientEvent{
			Time: time.Duration(e.Time), PID: int(e.Pid), Recording: goroutine.ID(e.Recording), Ended: e.Ended != 0,
			Unrelated: e.Unrelated != 0,
		}
		if client.Ended {
			return client, nil
		}
		client.Name, client.Cut = cString(e.Name[:]), e.Length == 0 || int(e.Length) > len(e.Command)
		line := strings.TrimRight(string(e.Command[:min(int(e.Length), len(e.Command))]), "\x00")
		client.Command = strings.Split(line, "\x00")
		return client, nil
	case bpf.RecordEventKindEVENT_NAME:
		var e bpf.RecordNameEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode server name event: %w", err)
		}
		return nameEventOf(&e)
	case bpf.RecordEventKindEVENT_QUESTION:
		var e bpf.RecordQuestionEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode DNS question event: %w", err)
		}
		if int(e.Length) > len(e.Name) {
			return nil, fmt.Errorf("decode DNS question event: name of %d bytes, want at most %d", e.Length, len(e.Name))
		}
		return &QuestionEvent{
			Time: time.Duration(e.Time), Cgroup: e.Cgroup, Netns: e.Netns,
			Recording: goroutine.ID(e.Recording), Generation: e.Generation,
			Initiator: initiatorOf(e.Initiator), Type: e.Type, Name: bytes.Clone(e.Name[:e.Length]), socket: e.Cookie,
		}, nil
	case bpf.RecordEventKindEVENT_STACK:
		var e bpf.RecordStackEvent
		if _, err := binary.Decode(sample, binary.NativeEndian, &e); err != nil {
			return nil, fmt.Errorf("decode stack event: %w", err)
		}
		return &stackEvent{keyOf(e.Key), stackOf(&e)}, nil
	default:
		return nil, fmt.Errorf("decode event: unknown kind %d", kind)
	}
}

// dnsHeader is a bpf.RecordDnsEvent without its payload: only the used part of that is sent.
type dnsHeader struct {
	Kind, Length    uint32
	Time            uint64
	Cgroup, Cookie  uint64
	Recording       uint64
	Generation      uint32
	Reserved        uint32
	Sequence, Cut   uint32
	Protocol, Flags uint8
	Padding         [3]uint16
}

func decodeDNS(sample []byte) (Event, error) {
	var h dnsHeader
	n, err := binary.Decode(sample, binary.NativeEndian, &h)
	if err != nil {
		return nil, fmt.Errorf("decode DNS event: %w", err)
	}
	if payload := uint64(len(sample) - n); payload < uint64(h.Length) {
		return nil, fmt.Errorf("decode DNS event: %d bytes of payload, want %d", payload, h.Length)
	}
	has := func(flag bpf.RecordDnsFlag) bool { return h.Flags&uint8(flag) != 0 }
	return &DNSEvent{
		Time: time.Duration(h.Time), Cgroup: h.Cgroup, Cookie: h.Cookie,
		Recording: goroutine.ID(h.Recording), Generation: h.Generation, Sent: has(bpf.RecordDnsFlagDNS_SENT),
		Protocol: flow.Protocol(h.Protocol), Sequence: h.Sequence,
		SYN: has(bpf.RecordDnsFlagDNS_SYN), FIN: has(bpf.RecordDnsFlagDNS_FIN), RST: has(bpf.RecordDnsFlagDNS_RST),
		Payload: bytes.Clone(sample[n : n+int(h.Length)]), Cut: int(h.Cut),
	}, nil
}

func keyOf(k bpf.RecordFlowKey) Key {
	key := Key{Cgroup: k.Cgroup, Netns: k.Netns, Name: k.Name, Since: time.Duration(k.Since), Bound: k.Bound,
		CgroupGeneration: k.CgroupGeneration,
		Recording:        goroutine.ID(k.Recording), Program: k.Executable,
		Addr: netip.AddrFrom16(k.Addr).Unmap(), Generation: k.Generation, Port: k.Port, Protocol: flow.Protocol(k.Protocol)}
	if key.Protocol.IsICMP() {
		key.Port, key.ICMPType = 0, uint8(k.Port)
	}
	return key
}

// keyTo is the reverse of keyOf.
func keyTo(k Key) bpf.RecordFlowKey {
	key := bpf.RecordFlowKey{Cgroup: k.Cgroup, Netns: k.Netns, Name: k.Name, Since: uint64(k.Since), Bound: k.Bound,
		CgroupGeneration: k.CgroupGeneration,
		Recording:        uint64(k.Recording), Executable: k.Program,
		Addr: k.Addr.As16(), Generation: k.Generation, Port: k.Port, Protocol: uint8(k.Protocol), Family: 6}
	if k.Addr.Is4() {
		key.Family = 4
	}
	if k.Protocol.IsICMP() {
		key.Port = uint16(k.ICMPType)
	}
	return key
}

func cgroupEventOf(e *bpf.RecordCgroupEvent) *CgroupEvent {
	event := &CgroupEvent{Time: time.Duration(e.Time), Cgroup: e.Cgroup}
	for i := range e.Names {
		name := cString(e.Names[i][:])
		if name == "" {
			break
		}
		event.Names = append(event.Names, name)
		event.Cut = event.Cut || len(name) == len(e.Names[i])-1
	}
	event.Cut = event.Cut || len(event.Names) == len(e.Names)
	return event
}

func nameEventOf(e *bpf.RecordNameEvent) (Event, error) {
	if int(e.Length) > len(e.Text) {
		return nil, fmt.Errorf("decode server name event: %d bytes of text, want at most %d", e.Length, len(e.Text))
	}
	return &NameEvent{
		Time:          time.Duration(e.Time),
		ServerNameKey: serverNameKeyOf(e.Key),
		Source:        NameSource(e.Source),
		Text:          bytes.Clone(e.Text[:e.Length]),
	}, nil
}

func serverNameKeyOf(k bpf.RecordServerNameKey) ServerNameKey {
	return ServerNameKey{Key: keyOf(k.Flow), Hash: k.Hash, DNSMatch: k.DnsMatch != 0}
}

func initiatorOf(o bpf.RecordInitiator) Initiator {
	return Initiator{PID: int(o.Pid), Comm: cString(o.Comm[:]), Executable: cString(o.Executable[:])}
}

// cString returns the text before the first NUL.
func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}
