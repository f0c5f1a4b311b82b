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

// resolver answers on port 53, over UDP and TCP, with what the test passes to it.
type resolver struct {
	t   *testing.T
	udp net.PacketConn
	tcp net.Listener
}

// resolverAddr is a loopback address for this test only, so that it does not collide with a resolver of the machine.
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

// answer makes the test process send the question of payload over UDP, and receive payload.
func (s *resolver) answer(payload []byte) {
	s.t.Helper()
	s.reply(questionOf(payload), payload)
}

// reply makes the test process send a question over UDP, and receive payload.
func (s *resolver) reply(question, payload []byte) {
	s.t.Helper()
	c, err := net.Dial("udp4", resolverAddr)
	check(s.t, err)
	defer c.Close()
	_, err = c.Write(question)
	check(s.t, err)
	_, from, err := s.udp.ReadFrom(make([]byte, 1000))
	check(s.t, err)
	_, err = s.udp.WriteTo(payload, from)
	check(s.t, err)
	_, err = c.Read(make([]byte, 65536))
	check(s.t, err)
}

// questionOf returns the question that a message answers.
func questionOf(message []byte) []byte {
	end := 12
	for end < len(message) && message[end] != 0 {
		end += 1 + int(message[end])
	}
	question := slices.Clone(message[:min(end+5, len(message))])
	question[2] &^= 0x80
	clear(question[6:12]) // no records
	return question
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

// message builds an answer to a question, with records as in a zone file: "name A 192.0.2.1".
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
	check(t, b.Question(dnsmessage.Question{
		Name: dnsmessage.MustNewName(question), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
	}))
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

// dial opens a connection that is refused. It returns the name part of the key, and whether the flow was new.
func (r *rig) dial(to string) (name uint64, isNew bool) {
	r.t.Helper()
	r.clear()
	name, _, isNew = r.dialSince(to)
	return name, isNew
}

// dialSince is dial without clearing earlier events. It returns since too.
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

const edge = "127.0.0.77:1" // nothing listens there

func TestNames_OneAddressTwoQuestions(t *testing.T) {
	testenv.Recorded(t, "DNS names with the same address are distinguished")
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
		{"with its first name, in another case", a, hashA, true},
		{"again", nil, 0, false},
		{"after an answer for another address", elsewhere, 0, false},
		{"with a second name, through a CNAME", b, hashB, true},
		{"with the first name again", a, 0, false},
		{"the second again, queried before a third", b, 0, false},
		{"after the third", elsewhere, 0, false},
	} {
		if step.answer != nil {
			s.answer(step.answer)
		}
		name, isNew := r.dial(edge)
		if isNew != step.wantNew || isNew && name != step.wantName {
			t.Errorf("step %d, %s: new %v with name %x, want %v with %x",
				i, step.reason, isNew, name, step.wantNew, step.wantName)
		}
	}
	r.mustLoseNothing()
}

func TestNames_SimultaneousQuestionsAreCandidates(t *testing.T) {
	testenv.Recorded(t, "DNS names that are looked up at the same time are all candidates")
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
		{"one candidate: the earlier ones have all been connected to", "a", "a"},
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
			names.Record(e.Cgroup, answer, e.Time)
		}
		name, since, isNew := r.dialSince(edge)
		got := ""
		if isNew {
			candidates := names.Lookup(r.leaf.ID, netip.MustParseAddrPort(edge).Addr(), name, since)
			got = strings.ReplaceAll(strings.Join(candidates, " "), ".test", "")
		}
		if got != step.want {
			t.Errorf("step %d, %s: candidates %q, want %q", i, step.reason, got, step.want)
		}
	}
}

// The resolvers of Go and glibc connect datagram sockets to sort the addresses of a name. The connection of the program
// follows later.
func TestNames_DatagramConnectConsumesNoQuestion(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	s.answer(message(t, "a.test.", "a.test. A 127.0.0.77"))
	c, err := net.Dial("udp", edge)
	check(t, err)
	check(t, c.Close())
	s.answer(message(t, "b.test.", "b.test. A 127.0.0.77"))
	if _, since, _ := r.dialSince(edge); since == 0 {
		t.Error("the second question is the only candidate: the first one was consumed")
	}
}

func TestNames_UnreadAnswerStartsNewEpoch(t *testing.T) {
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
		t.Fatal("the first connection is not a new flow")
	}
	for _, row := range []struct {
		reason string
		act    func()
	}{
		{"over TCP", func() { s.stream(prefixed) }},
		{"cut in the answer section", func() { s.answer(whole[:len(whole)-3]) }},
		{"with more records than the kernel reads", func() { s.answer(message(t, "many.test.", many...)) }},
	} {
		row.act()
		if name, isNew := r.dial(edge); !isNew || name>>63 == 1 {
			t.Errorf("an answer %s: new %v, name %x; want a new flow with an epoch", row.reason, isNew, name)
		}
		s.answer(known)
		if name, isNew := r.dial(edge); isNew {
			t.Errorf("the known question after an answer %s: new flow with name %x", row.reason, name)
		}
	}
	r.mustLoseNothing()
}

func TestDNS_AnswersDelivered(t *testing.T) {
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

	r.clear()
	s.answer(small)
	s.answer(small) // nothing new
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
		t.Error("events are no longer delivered")
	}
	r.mustLoseNothing()
}

func TestDNS_QueriesAreNotAnswers(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	query := message(t, "query.test.", "query.test. A 127.0.0.77")
	query[2] &^= 0x80
	s.answer(query)
	if name, _ := r.dial(edge); name != 0 {
		t.Errorf("a query named the address: %x", name)
	}
	if events := seen[*DNSEvent](r); len(events) > 0 {
		t.Errorf("a query was delivered as an answer: %+v", events)
	}
}

func TestDNS_HashMatchesKernel(t *testing.T) {
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

// Anyone can send a datagram from port 53. It is evidence only if the client sent the question.
func TestDNS_UnsolicitedAnswerIsNoEvidence(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	whole := message(t, "a.test.", "a.test. A 127.0.0.77")
	query := questionOf(whole)
	changed := func(question []byte, at int, to byte) []byte {
		question = slices.Clone(question)
		question[at] = to
		return question
	}
	for _, row := range []struct {
		reason           string
		question, answer []byte
	}{
		{"not a question", []byte("question"), whole},
		{"a question with another id", changed(query, 1, 7), whole},
		{"a question for another name", changed(query, 13, 'b'), whole},
		{"a truncated question", query[:len(query)-6], whole},
		{"a question without a name", changed(query, 12, 0x80), whole},
		{"a question with the answer flag", changed(query, 2, 0x80), whole},
		{"two questions", changed(query, 5, 2), whole},
		{"an answer without a question", query, []byte{0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"an answer with a reserved label", query, append(slices.Clone(whole[:12]), 0x80, 0)},
	} {
		s.reply(row.question, row.answer)
		if name, _ := r.dial(edge); name != 0 {
			t.Errorf("%s: the address has the name %x", row.reason, name)
		}
	}
	if events := seen[*DNSEvent](r); len(events) > 0 {
		t.Errorf("%d answers were delivered", len(events))
	}

	// To another socket than the one that sent the question.
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	check(t, err)
	defer c.Close()
	s.reply(query, message(t, "a.test.", "a.test. A 127.0.0.78"))
	r.clear()
	for range 2 {
		_, err = s.udp.WriteTo(whole, c.LocalAddr())
		check(t, err)
		_, _, err = c.ReadFrom(make([]byte, 1000))
		check(t, err)
		if name, _ := r.dial(edge); name != 0 {
			t.Errorf("an answer to a socket without the question: the address has the name %x", name)
		}
		_, err = c.WriteTo(changed(query, 1, 7), s.udp.LocalAddr()) // a question with another id
		check(t, err)
		_, _, err = s.udp.ReadFrom(make([]byte, 1000))
		check(t, err)
	}
	s.answer(whole)
	if name, isNew := r.dial(edge); !isNew || name != dns.Hash("a.test") {
		t.Errorf("after the question: new %v, name %x", isNew, name)
	}
	r.mustLoseNothing()
}

// The other end of an accepted connection may use port 53.
func TestDNS_AcceptedStreamFromPort53IsNoAnswer(t *testing.T) {
	r := newRig(t, Sizes{})
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 53, 0, 54), Port: 53}}
	c, err := dialer.Dial("tcp4", l.Addr().String())
	check(t, err)
	defer c.Close()
	server, err := l.Accept()
	check(t, err)
	defer server.Close()
	whole := message(t, "a.test.", "a.test. A 127.0.0.77")
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(whole))), whole...))
	check(t, err)
	_, err = server.Read(make([]byte, 1000))
	check(t, err)
	if events := seen[*DNSEvent](r); len(events) > 0 {
		t.Errorf("%d segments were delivered", len(events))
	}
}

// questions returns the reported lookups, each with the type of its first query.
func (r *rig) questions() (reported []string) {
	r.t.Helper()
	for _, e := range seen[*QuestionEvent](r) {
		reported = append(reported, fmt.Sprintf("%q %d", e.Name, e.Type))
		if e.Cgroup != r.leaf.ID || e.Initiator.PID == 0 {
			r.t.Errorf("%q has the initiator %+v", e.Name, e)
		}
	}
	return reported
}

func TestQuestions_ReportedOncePerGeneration(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	r.clear()
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".") + "."
	for _, row := range []struct {
		name string
		kind dnsmessage.Type
		want []string
	}{
		{"a.test.", dnsmessage.TypeA, []string{`"\x01a\x04test\x00" 1`}},
		{"a.test.", dnsmessage.TypeA, nil},
		{"A.tesT.", dnsmessage.TypeAAAA, nil}, // the same name
		{"b.test.", dnsmessage.TypeAAAA, []string{`"\x01b\x04test\x00" 28`}},
		{"c.test.", dnsmessage.TypeHTTPS, []string{`"\x01c\x04test\x00" 65`}},
		{"_x._tcp.d.test.", dnsmessage.TypeSRV, []string{`"\x02_x\x04_tcp\x01d\x04test\x00" 33`}},
		{"e.test.", dnsmessage.TypeTXT, nil},
		{"e.test.", dnsmessage.TypeMX, nil},
		{"1.2.0.192.in-addr.arpa.", dnsmessage.TypePTR, nil},
		{long, dnsmessage.TypeA, []string{fmt.Sprintf(
			"%q 1", "\x3f"+label+"\x3f"+label+"\x3f"+label+"\x3d"+label[:61]+"\x00")}},
		{strings.Repeat("a.", 127), dnsmessage.TypeA, []string{fmt.Sprintf("%q 1", strings.Repeat("\x01a", 127)+"\x00")}},
		{".", dnsmessage.TypeA, []string{`"\x00" 1`}},
	} {
		b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 7, RecursionDesired: true})
		check(t, b.StartQuestions())
		check(t, b.Question(dnsmessage.Question{
			Name: dnsmessage.MustNewName(row.name), Type: row.kind, Class: dnsmessage.ClassINET,
		}))
		question, err := b.Finish()
		check(t, err)
		r.clear()
		s.reply(question, []byte("no answer"))
		if diff := cmp.Diff(row.want, r.questions()); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", row.kind, row.name, diff)
		}
	}
	r.clear()
	_, err := r.NextGeneration()
	check(t, err)
	s.answer(message(t, "a.test."))
	if diff := cmp.Diff([]string{`"\x01a\x04test\x00" 1`}, r.questions()); diff != "" {
		t.Errorf("in the next generation (-want +got):\n%s", diff)
	}
	r.mustLoseNothing()
}

// The destination of a send identifies a question, on connected and unconnected sockets, from any local address.
func TestQuestions_UnconnectedSocket(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	c, err := net.ListenPacket("udp4", ":0")
	check(t, err)
	defer c.Close()
	whole := message(t, "a.test.", "a.test. A 127.0.0.77")
	_, err = c.WriteTo(questionOf(whole), s.udp.LocalAddr())
	check(t, err)
	_, from, err := s.udp.ReadFrom(make([]byte, 1000))
	check(t, err)
	_, err = s.udp.WriteTo(whole, from)
	check(t, err)
	_, _, err = c.ReadFrom(make([]byte, 1000))
	check(t, err)
	if diff := cmp.Diff([]string{`"\x01a\x04test\x00" 1`}, r.questions()); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
	if name, _ := r.dial(edge); name != dns.Hash("a.test") {
		t.Errorf("the address has the name %x", name)
	}
}

// Another recording may have sent the question before, so the answer is not new. It is reported for this recording too.
func TestDNS_FirstAddressReportedPerGeneration(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	with, without := message(t, "a.test.", "a.test. A 127.0.0.77"), message(t, "a.test.")
	for range 2 {
		_, err := r.NextGeneration()
		check(t, err)
		for i, step := range []struct {
			answer []byte
			want   int
		}{{without, 0}, {with, 1}, {with, 0}, {without, 0}} {
			r.clear()
			s.answer(step.answer)
			if got := len(seen[*DNSEvent](r)); got != step.want {
				t.Errorf("step %d: %d answers were delivered, want %d", i, got, step.want)
			}
		}
	}
}

func TestQuestions_OverTCP(t *testing.T) {
	r, s := newRig(t, Sizes{}), newResolver(t)
	r.clear()
	c, err := net.Dial("tcp4", resolverAddr)
	check(t, err)
	server, err := s.tcp.Accept()
	check(t, err)
	var sent []byte
	var want [][]byte
	for i := range 300 { // more than one event holds
		question := questionOf(message(t, fmt.Sprintf("host%d.test.", i)))
		want = append(want, question)
		sent = append(binary.BigEndian.AppendUint16(sent, uint16(len(question))), question...)
	}
	_, err = c.Write(sent)
	check(t, err)
	check(t, c.Close())
	_, err = io.ReadAll(server)
	check(t, err)
	check(t, server.Close())
	var streams dns.Streams
	var got [][]byte
	for _, e := range seen[*DNSEvent](r) {
		if !e.Sent {
			continue
		}
		if e.Cgroup != r.leaf.ID || e.Cookie == 0 {
			t.Errorf("event %+v is not of the leaf", e)
		}
		m, err := streams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
		check(t, err)
		got = append(got, m...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
	if streams.Dropped() > 0 {
		t.Error("the stream has gaps")
	}
	r.mustLoseNothing()
}
