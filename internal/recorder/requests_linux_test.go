package recorder

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// unread says why connections to a port are not read. Port 0 is an error.
type unread struct {
	port uint16
	why  probe.StreamOpaque
}

func (u unread) Unread(_ netip.Addr, port uint16) (probe.StreamOpaque, error) {
	switch u.port {
	case 0:
		return 0, errKernel
	case port:
		return u.why, nil
	}
	return probe.StreamReadable, nil
}

var allRead = unread{port: 1}

// requestRig is a recorder whose connections a test opens.
type requestRig struct {
	recorder *Recorder
	rec      *Recording
	last     uint64
}

func newRequestRig(t *testing.T) *requestRig {
	r := &Recorder{}
	r.requests.start()
	t.Cleanup(r.requests.close)
	return &requestRig{recorder: r, rec: &Recording{started: 10 * time.Second, options: Options{Requests: true}}}
}

// opens sends bytes on a new connection of a flow, at a time in seconds. It returns the cookie of the socket.
func (r *requestRig) opens(key probe.Key, seconds int, hint uint64, sends string) uint64 {
	r.last++
	at := time.Duration(seconds) * time.Second
	x := &r.recorder.requests
	x.handle(&probe.StreamEvent{Time: at, Stream: r.last, Cookie: r.last, Opened: &key})
	x.handle(&probe.StreamEvent{Time: at, Stream: r.last, Cookie: r.last, Hint: hint, Data: []byte(sends)})
	return r.last
}

// add adds the requests to the observations, and returns those of each: "POST /charge", or "opaque: TLS".
func (r *requestRig) add(t *testing.T, kernel unreadEnds, observed ...observation) []string {
	t.Helper()
	r.recorder.requests.wait()
	if err := r.recorder.addRequests(kernel, r.rec, observed); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, o := range observed {
		var requests []string
		for _, request := range o.flow.Requests {
			requests = append(requests, request.String())
		}
		text := strings.Join(requests, ", ")
		if o.flow.Opaque != "" {
			text = strings.TrimPrefix(text+", opaque: "+o.flow.Opaque, ", ")
		}
		all = append(all, text)
	}
	return all
}

func observed(key probe.Key, name string) observation {
	return observation{event: &probe.FlowEvent{Key: key}, name: name, flow: flow.Flow{Protocol: key.Protocol}}
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n" }

var billing = probe.Key{
	Cgroup: 7, Addr: netip.MustParseAddr("203.0.113.7"), Port: 8080, Protocol: flow.TCP, Recording: 5,
}

func TestRequests_Flows(t *testing.T) {
	r := newRequestRig(t)
	other := billing
	other.Generation++ // the same peer, in another generation
	r.opens(billing, 11, 0, get("/a")+get("/b"))
	r.opens(billing, 12, 0, get("/c"))
	r.opens(other, 13, 0, get("/d"))
	r.opens(other, 14, 0, "\x01\x02\x03\x04\x05\x06\x07\x08")
	udp := billing
	udp.Protocol = flow.UDP
	silent := billing
	silent.Port++
	got := r.add(t, allRead, observed(billing, ""), observed(other, ""), observed(udp, ""), observed(silent, ""))
	want := []string{
		"GET /a, GET /b, GET /c", "GET /d, opaque: another protocol than HTTP and Kafka", "", "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for why, want := range map[probe.StreamOpaque]string{
		probe.StreamMPTCP: "opaque: MPTCP", probe.StreamReceived: "opaque: connected by a process that is not recorded",
	} {
		if got := r.add(t, unread{8080, why}, observed(billing, "")); got[0] != want {
			t.Errorf("of a flow that is not read: %s, want %s", got, want)
		}
	}
	err := r.recorder.addRequests(unread{}, r.rec, []observation{observed(billing, "")})
	if !errors.Is(err, errKernel) {
		t.Errorf("an error of the kernel: %v", err)
	}
	r.rec.options.Requests = false
	if got := r.add(t, allRead, observed(billing, "")); got[0] != "" {
		t.Errorf("of a recording without the option: %s", got)
	}
}

// Hosts with one address are flows of their own. The name that the client sent decides whose request it is.
func TestRequests_Names(t *testing.T) {
	r := newRequestRig(t)
	r.recorder.correlation.keepServerName(1, serverName{"a.test", flow.ByHTTP})
	r.recorder.correlation.keepServerName(2, serverName{"b.test", flow.ByHTTP})
	r.opens(billing, 11, 1, get("/a"))
	r.opens(billing, 12, 2, get("/b"))
	r.opens(billing, 13, 0, get("/both")) // without a name
	b := observed(billing, "")
	b.sentNames = []string{"b.test"}
	got := r.add(t, allRead, observed(billing, "a.test"), b)
	if diff := cmp.Diff([]string{"GET /a, GET /both", "GET /b, GET /both"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A name that no observation has: it may be any of them.
	got = r.add(t, allRead, observed(billing, "c.test"))
	if diff := cmp.Diff([]string{"GET /a, GET /b, GET /both"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A connection that was opened before the generation is a flow of its own. Its requests belong to the test that opened
// it, even if another test sends on it.
func TestRequests_EarlierConnections(t *testing.T) {
	r := newRequestRig(t)
	r.rec.test, r.rec.goroutine = "TestShop", billing.Recording
	neighbor := &Recording{test: "TestOther", goroutine: 6}
	subtest := &Recording{test: "TestShop/refund", goroutine: 7}
	r.recorder.attribution.recordings = []*Recording{r.rec, neighbor, subtest}
	endedByID.Store(goroutine.ID(8), &endedRecording{name: "TestEnded"})
	t.Cleanup(func() { endedByID.Delete(goroutine.ID(8)) })
	flowOf := func(cookie uint64, sender goroutine.ID) observation {
		key := billing
		key.Bound = cookie | 1<<63
		key.Generation++
		key.Recording = sender
		return observed(key, "")
	}
	openedBy := func(opener goroutine.ID, seconds int, path string) uint64 {
		key := billing
		key.Recording = opener
		return r.opens(key, seconds, 0, get(path))
	}
	const own, unknown = 5, 0
	during, before := openedBy(own, 11, "/during"), openedBy(own, 9, "/before")
	for _, row := range []struct {
		reason string
		o      observation
		want   string
	}{
		{"opened and sent by the test", flowOf(during, own), "GET /during"},
		{"sent in an interrupt", flowOf(during, goroutine.Unread), "GET /during"},
		{"sent by no goroutine of a test", flowOf(during, unknown), "GET /during"},
		{"opened before the recording", flowOf(before, own), "opaque: " + opaqueEarlier},
		{"not seen before", flowOf(99, own), "opaque: " + opaqueEarlier},
		{"opened by a parallel test", flowOf(openedBy(6, 12, "/other"), own), "opaque: " + opaqueShared},
		{"opened by a test that has ended", flowOf(openedBy(8, 12, "/ended"), own), "opaque: " + opaqueShared},
		{"opened by a subtest", flowOf(openedBy(7, 12, "/refund"), own), "GET /refund"},
		{"opened by no goroutine of a test", flowOf(openedBy(unknown, 12, "/init"), own), "GET /init"},
	} {
		if got := r.add(t, allRead, row.o); got[0] != row.want {
			t.Errorf("%s: %s, want %s", row.reason, got[0], row.want)
		}
	}
	r.rec.isPackage = true // it has the flows of all tests
	if got := r.add(t, allRead, flowOf(openedBy(6, 13, "/shared"), own)); got[0] != "GET /shared" {
		t.Errorf("of a recording of the package: %s", got)
	}
}

// What the test's infrastructure opened has the same key as what the test opens.
func TestRequests_Infrastructure(t *testing.T) {
	r := newRequestRig(t)
	x := &r.recorder.requests
	for _, step := range []struct {
		opens            bool // the kernel reports the flow
		isInfrastructure bool
	}{
		{true, true}, {true, true}, {true, false}, {false, false}, {true, true}, {true, false},
	} {
		at := 11 + int(r.last)
		if step.opens {
			e := &probe.FlowEvent{Key: billing, Time: time.Duration(at)*time.Second - time.Millisecond}
			x.noteOpener(e, step.isInfrastructure)
		}
		path := "/test"
		if step.isInfrastructure {
			path = "/ready"
		}
		r.opens(billing, at, 0, get(path))
	}
	if got := r.add(t, allRead, observed(billing, "")); !slices.Equal(got, []string{"GET /test"}) {
		t.Errorf("requests %q", got)
	}
}
