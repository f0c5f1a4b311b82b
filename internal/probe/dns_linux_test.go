package probe

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// resolver answers every datagram and every TCP connection on port 53 with what the test says next.
type resolver struct {
	t   *testing.T
	udp net.PacketConn
	tcp net.Listener
}

// resolverAddr is a loopback address of this test's own, so that no resolver of the machine is in the way.
const resolverAddr = "127.53.0.53:53"

func newResolver(t *testing.T) *resolver {
	t.Helper()
	udp, err := net.ListenPacket("udp4", resolverAddr)
	check(t, err)
	t.Cleanup(func() { udp.Close() })
	tcp, err := net.Listen("tcp4", resolverAddr)
	check(t, err)
	t.Cleanup(func() { tcp.Close() })
	return &resolver{t: t, udp: udp, tcp: tcp}
}

// answer makes the test process receive payload as an answer over UDP.
func (s *resolver) answer(payload []byte) {
	s.t.Helper()
	c, err := net.Dial("udp4", resolverAddr)
	check(s.t, err)
	defer c.Close()
	_, err = c.Write([]byte("question"))
	check(s.t, err)
	_, from, err := s.udp.ReadFrom(make([]byte, 100))
	check(s.t, err)
	_, err = s.udp.WriteTo(payload, from)
	check(s.t, err)
	_, err = c.Read(make([]byte, 65536))
	check(s.t, err)
}

// stream makes the test process receive payload over TCP.
func (s *resolver) stream(payload []byte) {
	s.t.Helper()
	c, err := net.Dial("tcp4", resolverAddr)
	check(s.t, err)
	defer c.Close()
	server, err := s.tcp.Accept()
	check(s.t, err)
	go func() {
		server.Write(payload)
		server.Close()
	}()
	_, err = io.ReadAll(c)
	check(s.t, err)
}

// message builds an answer to a question, with records in the zone-file manner: "name A 192.0.2.1".
func message(t *testing.T, question string, records ...string) []byte {
	t.Helper()
	return pack(t, true, question, records...)
}

func pack(t *testing.T, compress bool, question string, records ...string) []byte {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	if compress {
		b.EnableCompression()
	}
	check(t, b.StartQuestions())
	check(t, b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(question), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}))
	check(t, b.StartAnswers())
	for _, record := range records {
		var name, kind, data string
		_, err := fmt.Sscan(record, &name, &kind, &data)
		check(t, err)
		h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60}
		switch kind {
		case "A":
			check(t, b.AResource(h, dnsmessage.AResource{A: netip.MustParseAddr(data).As4()}))
		case "AAAA":
			check(t, b.AAAAResource(h, dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(data).As16()}))
		case "CNAME":
			check(t, b.CNAMEResource(h, dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(data)}))
		default:
			t.Fatalf("record %q: unknown type", record)
		}
	}
	text, err := b.Finish()
	check(t, err)
	return text
}

// dial opens a connection that is refused, and returns the name part of the key if the flow was new.
func (r *rig) dial(to string) (name uint64, isNew bool) {
	r.t.Helper()
	r.forget()
	name, _, isNew = r.dialSince(to)
	return name, isNew
}

// dialSince is dial that keeps the events from before, and returns since too.
func (r *rig) dialSince(to string) (name uint64, since time.Duration, isNew bool) {
	r.t.Helper()
	before := len(seen[*FlowEvent](r))
	if c, err := net.Dial("tcp", to); err == nil {
		c.Close()
	}
	for _, e := range seen[*FlowEvent](r)[before:] {
		if netip.AddrPortFrom(e.Addr, e.Port).String() == to {
			question := e.Question()
			if question == 0 && e.Since == 0 {
				question = e.Name // an epoch
			}
			return question, e.Since, true
		}
	}
	return 0, 0, false
}

const edge = "127.0.0.77:1" // nobody listens there

func TestNamesBehindOneAddressDoNotFold(t *testing.T) {
	testenv.Recorded(t, "names behind one address are told apart")
	r, s := newRig(t, Sizes{}), newResolver(t)
	a := message(t, "API.a.test.", "api.a.test. A 127.0.0.77")
	b := message(t, "api.b.test.", "api.b.test. CNAME edge.cdn.test.", "edge.cdn.test. A 127.0.0.77")
	elsewhere := message(t, "other.test.", "other.test. A 127.0.0.78")
	hashA, hashB := dns.Hash("api.a.test"), dns.Hash("api.b.test")

	for i, step := range []struct {
		reason   string
		answer   []byte
		wantName uint64
		wantNew  bool
	}{
		{"without a name", nil, 0, true},
		{"again", nil, 0, false},
		{"with its first name, in whatever case", a, hashA, true},
		{"again", nil, 0, false},
		{"after an answer for another address", elsewhere, 0, false},
		{"with a second name, through a CNAME", b, hashB, true},
		{"with the first name again", a, 0, false},
		{"the second again, asked for before a third", b, 0, false},
		{"after that third", elsewhere, 0, false},
	} {
		if step.answer != nil {
			s.answer(step.answer)
		}
		name, isNew := r.dial(edge)
		if isNew != step.wantNew || isNew && name != step.wantName {
			t.Errorf("step %d, %s: new %v with name %x, want %v with %x", i, step.reason, isNew, name, step.wantNew, step.wantName)
		}
	}
	r.mustLoseNothing()
}

func TestNamesThatAreAskedForAtOnceAreAllCandidates(t *testing.T) {
	testenv.Recorded(t, "names asked for at once are all candidates")
	r, s := newRig(t, Sizes{}), newResolver(t)
	answers := make(map[string][]byte)
	for _, name := range []string{"a", "b", "c"} {
		answers[name] = message(t, name+".test.", name+".test. A 127.0.0.77")
	}
	for i, step := range []struct {
		reason  string
		answers string
		want    string // the candidates; empty for no new flow
	}{
		{"two answers before the first connection", "a b", "a b"},
		{"the second connection", "", ""},
		{"the next question stands alone: all candidates have been connected to", "a", "a"},
		{"two again", "b a", "a b"},
		{"a third while one is pending", "c", "a b c"},
	} {
		for _, name := range strings.Fields(step.answers) {
			s.answer(answers[name])
		}
		var names dns.Names
		for _, e := range seen[*DNSEvent](r) {
			answer, err := dns.Parse(e.Payload)
			check(t, err)
			names.Learn(e.Cgroup, answer, e.Time)
		}
		name, since, isNew := r.dialSince(edge)
		got := ""
		if isNew {
			got = strings.ReplaceAll(strings.Join(names.Lookup(r.leaf.ID, netip.MustParseAddrPort(edge).Addr(), name, since), " "), ".test", "")
		}
		if got != step.want {
			t.Errorf("step %d, %s: candidates %q, want %q", i, step.reason, got, step.want)
		}
	}
}

// Resolvers do so, Go's and glibc's, to sort the addresses that a name has: the connection is yet to come.
func TestConnectedDatagramSocketUsesUpNoQuestion(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	s.answer(message(t, "a.test.", "a.test. A 127.0.0.77"))
	c, err := net.Dial("udp", edge)
	check(t, err)
	check(t, c.Close())
	s.answer(message(t, "b.test.", "b.test. A 127.0.0.77"))
	if _, since, _ := r.dialSince(edge); since == 0 {
		t.Error("the second question is the only candidate: the first one was used up")
	}
}

func TestAnswerThatTheKernelCannotReadNeverFolds(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	known := message(t, "known.test.", "known.test. A 127.0.0.77")
	whole := message(t, "tcp.test.", "tcp.test. A 127.0.0.77")
	prefixed := append(binary.BigEndian.AppendUint16(nil, uint16(len(whole))), whole...)
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("many.test. A 127.1.0.%d", i))
	}
	s.answer(known)
	if _, isNew := r.dial(edge); !isNew {
		t.Fatal("the first connection is no flow")
	}
	for _, row := range []struct {
		reason string
		act    func()
	}{
		{"over TCP", func() { s.stream(prefixed) }},
		{"cut in the answer section", func() { s.answer(whole[:len(whole)-3]) }},
		{"without a question", func() { s.answer([]byte{0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}) }},
		{"with a reserved label", func() { s.answer(append(slices.Clone(whole[:12]), 0x80, 0)) }},
		{"with more records than it follows", func() { s.answer(message(t, "many.test.", many...)) }},
	} {
		row.act()
		if name, isNew := r.dial(edge); !isNew || name>>63 == 1 {
			t.Errorf("an answer %s: new %v, name %x; want a new flow with an epoch", row.reason, isNew, name)
		}
		s.answer(known)
		if name, isNew := r.dial(edge); isNew {
			t.Errorf("after an answer %s the known question is asked again: new flow with name %x", row.reason, name)
		}
	}
	r.mustLoseNothing()
}

func TestAnswersAreDelivered(t *testing.T) {
	testenv.Recorded(t, "DNS answers over UDP")
	testenv.Recorded(t, "DNS answers over TCP")
	r, s := newRig(t, Sizes{}), newResolver(t)
	small := message(t, "small.test.", "small.test. A 192.0.2.1", "small.test. AAAA 2001:db8::1")
	long := pack(t, false, "uncompressed.name.of.some.length.test.", "uncompressed.name.of.some.length.test. A 192.0.2.3")
	var records []string
	for i := range 3000 {
		records = append(records, fmt.Sprintf("big.test. A 10.0.%d.%d", i/250, i%250))
	}
	big := message(t, "big.test.", records...)
	prefixed := append(binary.BigEndian.AppendUint16(nil, uint16(len(big))), big...)

	r.forget()
	s.answer(small)
	s.answer(small) // says nothing new
	s.answer(long)
	s.stream(prefixed)
	var datagrams [][]byte
	var streams dns.Streams
	var messages [][]byte
	for _, e := range seen[*DNSEvent](r) {
		if e.Cgroup != r.leaf.ID || e.Cookie == 0 || e.Cut != 0 {
			t.Errorf("event %+v is not of the leaf", e)
		}
		if e.Protocol.String() == "UDP" {
			datagrams = append(datagrams, e.Payload)
			continue
		}
		m, err := streams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
		check(t, err)
		messages = append(messages, m...)
	}
	if diff := cmp.Diff([][]byte{small, long}, datagrams); diff != "" {
		t.Errorf("datagrams (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]byte{big}, messages); diff != "" {
		t.Errorf("messages over TCP differ: got %d", len(messages))
	}
	if streams.Dropped() > 0 {
		t.Errorf("the stream has gaps")
	}
	if _, isNew := r.dial("127.0.0.1:2"); !isNew {
		t.Error("recording has ended")
	}
	r.mustLoseNothing()
}

func TestQueriesAreNotTakenForAnswers(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	query := message(t, "query.test.", "query.test. A 127.0.0.77")
	query[2] &^= 0x80
	s.answer(query)
	if name, _ := r.dial(edge); name != 0 {
		t.Errorf("a query named the address: %x", name)
	}
	if events := seen[*DNSEvent](r); len(events) > 0 {
		t.Errorf("a query was delivered: %+v", events)
	}
}

func TestHashIsTheKernels(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	for i, name := range []string{
		"a.", "example.test.", "with-dash_and_underscore.EXAMPLE.test.", "xn--bcher-kva.test.",
		"0123456789012345678901234567890123456789012345678901234567890ab.test.",
	} {
		address := fmt.Sprintf("127.0.1.%d", i+1)
		s.answer(message(t, name, name+" A "+address))
		got, isNew := r.dial(address + ":1")
		parsed, err := dns.Parse(message(t, name, name+" A "+address))
		check(t, err)
		if want := dns.Hash(parsed.Question); !isNew || got != want {
			t.Errorf("%s: the kernel's hash is %x, ours %x", name, got, want)
		}
	}
}
