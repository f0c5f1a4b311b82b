package probe

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/netzero-dev/netzero/bpf"
)

// requestInterval is how often the reader looks for events. The kernel does not wake it, because that would cost the
// client ten times as much as the event.
const requestInterval = 5 * time.Millisecond

// requestReader is what reads the bytes that clients send. Methods of nil, before it is enabled, do nothing.
type requestReader struct {
	objects requestObjects
	links   []link.Link
	ring    *ring
	flushed chan barrier  // from Sync to the reader
	stopped chan struct{} // closed when the reader ends
	done    sync.WaitGroup
}

// requestObjects are the programs and maps of the object Requests that are loaded.
type requestObjects struct {
	bpf.RequestsPrograms
	Events *ebpf.Map `ebpf:"stream_events"`
	Losses *ebpf.Map `ebpf:"stream_losses"`
	Unread *ebpf.Map `ebpf:"unread_ends"`
}

func (o *requestObjects) close() error {
	return errors.Join(o.RequestsPrograms.Close(), o.Events.Close(), o.Losses.Close(), o.Unread.Close())
}

// EnableRequests sends to [Handler].Stream what clients in scope send over the TCP connections that they open from now
// on, until the probe is closed. Errors: *[PermissionError], [ErrNotSupported].
func (p *Probe) EnableRequests() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.requests != nil {
		return nil
	}
	q := &requestReader{flushed: make(chan barrier, 1), stopped: make(chan struct{})}
	err := q.load(p.sizes, p.shared)
	if err == nil {
		err = q.attach(p.root)
	}
	if err != nil {
		return errors.Join(err, q.close())
	}
	q.done.Go(func() {
		defer close(q.stopped)
		q.read(p.handler.Stream, p.fail)
	})
	p.requests = q
	return nil
}

// requestReader returns what reads requests, or nil.
func (p *Probe) requestReader() *requestReader {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// load loads the programs. They share the connections and SYNs that the other programs record.
func (q *requestReader) load(sizes Sizes, recorded map[string]*ebpf.Map) error {
	spec, err := requestsSpec(sizes)
	if err != nil {
		return err
	}
	loaded, err := loadCollection(spec, map[string]*ebpf.Map{
		bpf.RequestsMapConnections: recorded[bpf.RequestsMapConnections],
		bpf.RequestsMapSyns:        recorded[bpf.RequestsMapSyns],
	})
	if err == nil {
		defer loaded.Close() // what is not assigned
		err = loaded.Assign(&q.objects)
	}
	if err != nil {
		return fmt.Errorf("load programs that read requests: %w", classify(err))
	}
	if q.ring, err = newRing(q.objects.Events); err != nil {
		return fmt.Errorf("read ring buffer of requests: %w", err)
	}
	q.ring.interval = requestInterval
	return nil
}

// requestsSpec returns the collection of the programs that read requests.
func requestsSpec(sizes Sizes) (*ebpf.CollectionSpec, error) {
	spec, err := bpf.LoadRequests()
	if err != nil {
		return nil, err
	}
	spec.Maps[bpf.RequestsMapStreamEvents].MaxEntries = cmp.Or(sizes.RequestRingBytes, DefaultSizes.RequestRingBytes)
	return spec, nil
}

// attach attaches the programs to root, beside those that record. They run after those, which were attached before.
func (q *requestReader) attach(root string) error {
	dir, err := os.Open(root)
	if err != nil {
		return fmt.Errorf("attach eBPF programs: %w", err)
	}
	defer dir.Close()
	for attach, program := range map[ebpf.AttachType]*ebpf.Program{
		ebpf.AttachCGroupInet4Connect: q.objects.RequestsConnect4,
		ebpf.AttachCGroupInet6Connect: q.objects.RequestsConnect6,
		ebpf.AttachCGroupInetEgress:   q.objects.RequestsEgress,
		ebpf.AttachCGroupInetIngress:  q.objects.RequestsIngress,
	} {
		l, err := link.AttachRawLink(link.RawLinkOptions{Target: int(dir.Fd()), Program: program, Attach: attach})
		if err != nil {
			return fmt.Errorf("attach eBPF program %s to %s: %w", attach, root, classify(err))
		}
		q.links = append(q.links, l)
	}
	return nil
}

// close detaches and unloads the programs.
func (q *requestReader) close() error {
	if q == nil {
		return nil
	}
	var errs []error
	for _, l := range q.links {
		errs = append(errs, l.Close())
	}
	if q.ring != nil {
		errs = append(errs, q.ring.stop())
		q.done.Wait()
		errs = append(errs, q.ring.close())
	}
	return errors.Join(append(errs, q.objects.close())...)
}

// read passes on the events of the ring buffer until it is closed.
func (q *requestReader) read(deliver func(*StreamEvent), fail func(error)) {
	for {
		sample, err := q.ring.next()
		switch {
		case errors.Is(err, errFlushed):
			close(<-q.flushed)
			continue
		case err != nil:
			if !errors.Is(err, os.ErrClosed) {
				fail(fmt.Errorf("read ring buffer of requests: %w", err))
			}
			return
		}
		e, err := decodeStream(sample)
		switch {
		case err != nil:
			fail(err)
		case deliver != nil:
			deliver(e)
		}
	}
}

// sync returns once every event that the kernel wrote before the call is delivered. The caller holds Probe.syncing.
func (q *requestReader) sync() error {
	if q == nil {
		return nil
	}
	reached := make(barrier)
	q.flushed <- reached
	err := q.ring.flush()
	if err != nil {
		<-q.flushed
		return fmt.Errorf("flush ring buffer of requests: %w", err)
	}
	select {
	case <-reached:
	case <-q.stopped:
		return fmt.Errorf("flush ring buffer of requests: %w", os.ErrClosed)
	}
	return nil
}

func decodeStream(sample []byte) (*StreamEvent, error) {
	var head bpf.RequestsStreamEvent
	if _, err := binary.Decode(sample, binary.NativeEndian, &head); err != nil {
		return nil, fmt.Errorf("decode event of a stream: %w", err)
	}
	e := &StreamEvent{
		Time: time.Duration(head.Time), Stream: head.Stream, Cookie: head.Cookie, Hint: head.Hint, Skipped: head.Skipped,
		Reply: head.Reply != 0, Ended: head.Ended != 0, Opaque: StreamOpaque(head.Opaque),
	}
	if head.Opens != 0 {
		var key bpf.RecordFlowKey
		if _, err := binary.Decode(sample[unsafe.Sizeof(head):], binary.NativeEndian, &key); err != nil {
			return nil, fmt.Errorf("decode first event of a stream: %w", err)
		}
		opened := keyOf(key)
		e.Opened = &opened
		return e, nil
	}
	rest := sample[unsafe.Sizeof(head):]
	if int(head.Length) > len(rest) {
		return nil, fmt.Errorf("decode event of a stream: %d bytes, want %d", len(rest), head.Length)
	}
	e.Data = bytes.Clone(rest[:head.Length])
	return e, nil
}

// Unread returns why the bytes of a connection to an address were not read since [Probe.EnableRequests], although it
// was opened in scope or by MPTCP on this machine: [StreamMPTCP] or [StreamReceived]. It returns [StreamReadable] if
// there was no such connection.
func (p *Probe) Unread(addr netip.Addr, port uint16) (StreamOpaque, error) {
	q := p.requestReader()
	if q == nil {
		return StreamReadable, nil
	}
	var why uint32
	end := bpf.RequestsUnreadEnd{Addr: addr.As16(), Port: uint32(port)}
	switch err := q.objects.Unread.Lookup(end, &why); {
	case errors.Is(err, ebpf.ErrKeyNotExist):
		return StreamReadable, nil
	case err != nil:
		return StreamReadable, fmt.Errorf("look up connections that were not read: %w", err)
	}
	return StreamOpaque(why), nil
}

// addLoss adds what was lost of requests.
func (q *requestReader) addLoss(l *Loss) error {
	if q == nil {
		return nil
	}
	for which, n := range map[bpf.RequestsStreamLoss]*uint64{
		bpf.RequestsStreamLossLOST_STREAM_EVENT: &l.StreamEvents, bpf.RequestsStreamLossLOST_STREAM: &l.Streams,
	} {
		var perCPU []uint64
		if err := q.objects.Losses.Lookup(uint32(which), &perCPU); err != nil {
			return fmt.Errorf("read loss counters: %w", err)
		}
		for _, c := range perCPU {
			*n += c
		}
	}
	return nil
}
