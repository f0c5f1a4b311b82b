package recorder

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/requests"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// requestReader is the stage that reads the requests of connections, once a recording needs them. The kernel reports a
// connection when it is opened; so each one that is known is known from its first byte.
type requestReader struct {
	openers map[probe.Key][]opener // guarded by Recorder.mu

	mu       sync.Mutex
	parsers  *requests.Streams // nil until a recording needs requests
	streams  map[uint64]*stream
	byFlow   map[probe.Key][]*stream
	byCookie map[connectionKey]*stream
}

// stream is the client's end of a connection.
type stream struct {
	id     uint64
	key    probe.Key // of the flow
	opened time.Duration
	hint   uint64 // of the name that the client sent, as in [probe.FlowEvent]
}

// opener says who opened a connection at a time: the infrastructure of the test has the same key as the test.
type opener struct {
	time             time.Duration
	isInfrastructure bool
}

// Reasons for [flow.Flow].Opaque.
const (
	opaqueEarlier = "opened before the recording"
	opaqueShared  = "opened by another test"
)

var opaqueReasons = map[probe.StreamOpaque]string{
	probe.StreamTLS:      "TLS",
	probe.StreamOther:    "another protocol than HTTP and Kafka",
	probe.StreamGap:      "a packet was not seen",
	probe.StreamLost:     "bytes were lost",
	probe.StreamLimit:    "its messages are too long, or too many at once",
	probe.StreamMPTCP:    "MPTCP",
	probe.StreamReceived: "connected by a process that is not recorded",
}

// enableRequests makes the kernel send what clients send, if the recording needs it.
func (r *Recorder) enableRequests(rec *Recording) error {
	if !rec.options.Requests {
		return nil
	}
	r.requests.start()
	return r.session.Probe.EnableRequests()
}

func (x *requestReader) start() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.parsers != nil {
		return
	}
	x.parsers = new(requests.Streams)
	x.streams, x.byFlow = make(map[uint64]*stream), make(map[probe.Key][]*stream)
	x.byCookie = make(map[connectionKey]*stream)
}

// isActive reports whether a recording needs requests, or did.
func (x *requestReader) isActive() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.parsers != nil
}

// wait returns once everything that the kernel sent so far has been parsed. Call [probe.Probe.Sync] before.
func (x *requestReader) wait() {
	if x.isActive() {
		x.parsers.Wait()
	}
}

func (x *requestReader) close() {
	if x.isActive() {
		x.parsers.Close()
	}
}

// handle passes on a piece of a connection.
func (x *requestReader) handle(e *probe.StreamEvent) {
	x.mu.Lock()
	s := x.streams[e.Stream]
	if e.Opened != nil {
		s = &stream{id: e.Stream, key: *e.Opened, opened: e.Time}
		x.streams[s.id] = s
		x.byFlow[s.key] = append(x.byFlow[s.key], s)
		x.byCookie[connectionKey{e.Cookie, s.key.Addr, s.key.Port}] = s
	}
	if s != nil && e.Hint != 0 {
		s.hint = e.Hint
	}
	x.mu.Unlock()
	x.parsers.Add(requests.Piece{
		Connection: e.Stream, Skipped: e.Skipped, Data: e.Data, IsReply: e.Reply, Ends: e.Ended,
		Opaque: opaqueReasons[e.Opaque],
	})
}

// noteOpener keeps who opened a connection. The caller holds Recorder.mu.
func (x *requestReader) noteOpener(e *probe.FlowEvent, isInfrastructure bool) {
	if !x.isActive() || e.Protocol != flow.TCP {
		return
	}
	known := x.openers[e.Key]
	if n := len(known); n == 0 && !isInfrastructure || n > 0 && known[n-1].isInfrastructure == isInfrastructure {
		return
	}
	if x.openers == nil {
		x.openers = make(map[probe.Key][]opener)
	}
	x.openers[e.Key] = append(known, opener{e.Time, isInfrastructure})
}

// isInfrastructure reports whether the infrastructure of the test opened a connection: the last one that the kernel
// reported before it was opened.
func (x *requestReader) isInfrastructure(s *stream) bool {
	is := false
	for _, o := range x.openers[s.key] {
		if o.time > s.opened {
			break
		}
		is = o.isInfrastructure
	}
	return is
}

// unreadEnds is the part of package probe that knows which connections are not read.
type unreadEnds interface {
	Unread(addr netip.Addr, port uint16) (probe.StreamOpaque, error)
}

// addRequests adds what clients sent to the observations of a recording, which it changes. The caller holds
// Recorder.mu, and has waited for all pieces.
func (r *Recorder) addRequests(kernel unreadEnds, rec *Recording, observed []observation) error {
	x := &r.requests
	if !rec.options.Requests {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	named := make(map[probe.Key][]int) // the observations of each flow
	for i := range observed {
		o := &observed[i]
		if o.flow.Protocol != flow.TCP || o.flow.Lookup {
			continue
		}
		unread, err := kernel.Unread(o.event.Addr, o.event.Port)
		switch {
		case err != nil:
			return fmt.Errorf("read requests: %w", err)
		case unread != probe.StreamReadable:
			o.flow.Opaque = opaqueReasons[unread]
		case o.event.Connection() != 0:
			r.addConnection(rec, o)
		default:
			named[o.event.Key] = append(named[o.event.Key], i)
		}
	}
	for key, indexes := range named {
		for _, s := range x.byFlow[key] {
			if x.isInfrastructure(s) {
				continue
			}
			names, _ := r.correlation.serverNamesOf(key, s.hint)
			is := func(i int) bool { return observed[i].isNamed(names) }
			some := slices.ContainsFunc(indexes, is)
			for _, i := range indexes {
				if !some || is(i) {
					observed[i].flow.AddRequests(x.resultOf(s))
				}
			}
		}
	}
	return nil
}

// isNamed reports whether an observation is of a flow to one of these names.
func (o *observation) isNamed(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return o.name == name || slices.Contains(o.sentNames, name)
	})
}

// addConnection adds the requests of one connection, which is a flow of its own: it was opened before the current
// generation, or a goroutine of another test sends on it. Its requests belong to the test that opened it.
func (r *Recorder) addConnection(rec *Recording, o *observation) {
	x := &r.requests
	s := x.byCookie[connectionKey{o.event.Connection(), o.event.Addr, o.event.Port}]
	switch {
	case s == nil || s.opened < rec.started:
		o.flow.Opaque = opaqueEarlier
	case r.isOfAnother(rec, s.key.Recording):
		o.flow.Opaque = opaqueShared
	default:
		o.flow.AddRequests(x.resultOf(s))
	}
}

// isOfAnother reports whether a recording is known, and is neither rec nor included in it. It may have ended.
func (r *Recorder) isOfAnother(rec *Recording, id goroutine.ID) bool {
	for _, other := range r.attribution.recordings {
		if other.goroutine == id {
			return other != rec && !rec.includes(other.test)
		}
	}
	if ended, found := endedByID.Load(id); found {
		return !rec.includes(ended.(*endedRecording).name)
	}
	return false
}

// resultOf returns the requests of a connection, and why there may be more.
func (x *requestReader) resultOf(s *stream) ([]flow.Request, string) {
	result := x.parsers.Result(s.id)
	return result.Requests, result.Opaque
}
