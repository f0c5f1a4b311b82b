package dns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// FuzzParse compares Parse with dnsmessage's result for a whole message, and with the kernel's hash of its bytes.
func FuzzParse(f *testing.F) {
	for _, tt := range corpus {
		f.Add(packet(f, tt.file))
	}
	f.Add(response(f, "many.example.com.", 100))
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := Parse(msg)
		if err != nil {
			if diff := cmp.Diff(Answer{}, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("an error and an answer:\n%s", diff)
			}
			return
		}
		if i := strings.IndexFunc(got.Question, unsafe); i >= 0 || len(got.Question) > 4*254 {
			t.Errorf("unsafe question %q", got.Question)
		}
		if wire, plain := plainName(msg[headerLen:]); plain && Hash(got.Question) != kernelHash(wire) {
			t.Errorf("%q hashes to %#x, its bytes to %#x", got.Question, Hash(got.Question), kernelHash(wire))
		}
		if got.Name != "" && !strings.HasSuffix(got.Question, got.Name) &&
			!strings.HasSuffix(got.Question, searchSuffix) {
			t.Errorf("%q means %q", got.Question, got.Name)
		}
		checkAddrs(t, got.Addrs, len(msg)/4) // a hint is the smallest record
		for i, target := range got.Targets {
			checkAddrs(t, target.Addrs, len(msg)/15)
			same := func(other Target) bool { return other.Name == target.Name }
			if len(target.Addrs) == 0 || target.Name == "" || slices.ContainsFunc(got.Targets[:i], same) ||
				strings.ContainsFunc(target.Name, unsafe) {
				t.Errorf("target %d is %v, after %v", i, target, got.Targets[:i])
			}
		}

		var whole dnsmessage.Message
		if whole.Unpack(msg) != nil || whole.RCode != dnsmessage.RCodeSuccess {
			return
		}
		// Unpack accepts a last record longer than the message, and reads no other section for its own sake.
		if got.Truncated != whole.Truncated && recordsFit(msg) {
			t.Errorf("truncated %v, and the message says %v", got.Truncated, whole.Truncated)
		}
		want := oracle(whole)
		if !slices.Equal(want.Addrs, got.Addrs) || !slices.EqualFunc(want.Targets, got.Targets, func(a, b Target) bool {
			return a.Name == b.Name && slices.Equal(a.Addrs, b.Addrs)
		}) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func checkAddrs(t *testing.T, addrs []netip.Addr, most int) {
	t.Helper()
	if len(addrs) > most {
		t.Errorf("%d addresses, want at most %d", len(addrs), most)
	}
	for i, addr := range addrs {
		if !addr.IsValid() || addr.Is4In6() || slices.Contains(addrs[:i], addr) {
			t.Errorf("address %d is %v, after %v", i, addr, addrs[:i])
		}
	}
}

// FuzzSegment sends messages in segments of the fuzzer's choice: in order, with overlaps, some late. The same messages
// must come out.
func FuzzSegment(f *testing.F) {
	f.Add([]byte("a stream of some bytes that become messages"), []byte{1, 1, 1, 3, 200, 7}, uint32(0xfffffff8))
	f.Add(packet(f, "cname-chain"), []byte{0x85, 0x03, 0x8f, 0xc3}, uint32(0))
	f.Add([]byte(strings.Repeat("x", 3000)), []byte{}, uint32(1<<31-20))
	f.Add([]byte{}, []byte{9}, uint32(4))
	f.Fuzz(func(t *testing.T, content, cuts []byte, isn uint32) {
		if len(content) > maxAhead/2 {
			return // too large behind a gap
		}
		var want []string
		for rest := content; len(rest) > headerLen; {
			n := min(headerLen+int(rest[0]), len(rest))
			want, rest = append(want, string(rest[:n])), rest[n:]
		}
		stream := slab(want...)

		segments := []segment{{seq: isn, syn: true}}
		var late []segment
		for at, i := 0, 0; at < len(stream); i++ {
			cut := byte(0xff)
			if i < len(cuts) {
				cut = cuts[i]
			}
			n := min(1+int(cut&0x3f), len(stream)-at)
			from := max(0, at-int(cut>>6)) // repeats a few bytes
			g := segment{seq: isn + 1 + uint32(from), payload: stream[from : at+n]}
			if at += n; cut&0x20 != 0 && len(late) < maxPieces/2 {
				late = append(late, g)
				continue
			}
			segments = append(segments, g)
			if len(segments) > maxPieces/2 {
				late, segments = nil, append(segments, late...)
			}
		}
		slices.Reverse(late)
		segments = append(segments, late...)
		segments = append(segments, segments[len(segments)/2:]...) // repeats the second half
		segments = append(segments, segment{seq: isn + 1 + uint32(len(stream)), fin: true})

		var s Streams
		got := feed(t, &s, segments...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := s.check(); err != nil || s.Dropped() != 0 {
			t.Errorf("dropped %d, %v", s.Dropped(), err)
		}
	})
}

// FuzzHostileSegments makes segments of arbitrary bytes: eight bytes of header and then the payload.
func FuzzHostileSegments(f *testing.F) {
	f.Add([]byte("\x01\x02\x00\x00\x00\x00\x00\x09\x01\x00\x00\x00\x00\x01\x00\x20abc"))
	f.Add([]byte(strings.Repeat("\x01\x00\x00\x00\x00\x09\x00\x04\x00\x00\x00\x10", 20)))
	f.Fuzz(func(t *testing.T, ops []byte) {
		var s Streams
		for len(ops) >= 8 {
			cookie, flags, seq, n := ops[0]%4, ops[1], binary.BigEndian.Uint32(ops[2:]),
				int(binary.BigEndian.Uint16(ops[6:]))
			ops = ops[8:]
			n = min(n, len(ops))
			before := s.Dropped()
			messages, err := s.Segment(uint64(cookie), seq, flags&2 != 0, flags&1 != 0, flags&4 != 0, ops[:n])
			ops = ops[n:]
			for _, m := range messages {
				if len(m) < headerLen || len(m) >= 1<<16 {
					t.Errorf("a message of %d bytes", len(m))
				}
			}
			if err := s.check(); err != nil {
				t.Error(err)
			}
			if err != nil && s.Dropped() == 0 || s.Dropped()+1 < before {
				t.Errorf("error %v, dropped %d after %d", err, s.Dropped(), before)
			}
		}
	})
}

// oracle returns the addresses of a message that dnsmessage has unpacked, by another algorithm: it applies the
// additional section until nothing changes.
func oracle(m dnsmessage.Message) (a Answer) {
	add := func(to *[]netip.Addr, addrs ...netip.Addr) {
		for _, addr := range addrs {
			if addr.IsValid() && !slices.Contains(*to, addr) {
				*to = append(*to, addr)
			}
		}
	}
	asksService := m.Questions[0].Type == dnsmessage.TypeSRV
	serving := map[string]bool{}
	bind := func(r dnsmessage.Resource) (counts bool) {
		svcb, ok := oracleBinding(r)
		if ok {
			owner, target := canonical(r.Header.Name), canonical(svcb.Target)
			if target == "" {
				target = owner
			}
			serving[owner], serving[target] = true, true
			add(&a.Addrs, oracleHints(svcb)...)
		}
		return ok
	}
	for _, r := range m.Answers {
		if srv, ok := r.Body.(*dnsmessage.SRVResource); ok && r.Header.Class == dnsmessage.ClassINET {
			same := func(t Target) bool { return t.Name == canonical(srv.Target) }
			if canonical(srv.Target) != "" && !slices.ContainsFunc(a.Targets, same) {
				a.Targets, a.Service = append(a.Targets, Target{Name: canonical(srv.Target)}), true
			}
		}
		bind(r)
		if !asksService {
			add(&a.Addrs, oracleAddr(r))
		}
	}
	rest := slices.Clone(m.Answers)
	if !asksService {
		rest = nil
	}
	if len(serving) > 0 || len(a.Targets) > 0 {
		rest = append(rest, m.Additionals...)
		bindings := slices.Clone(m.Additionals)
		for left := -1; left != len(bindings); {
			left = len(bindings)
			bindings = slices.DeleteFunc(bindings, func(r dnsmessage.Resource) bool {
				return serving[canonical(r.Header.Name)] && bind(r)
			})
		}
	}
	for _, r := range rest {
		owner := canonical(r.Header.Name)
		if serving[owner] {
			add(&a.Addrs, oracleAddr(r))
		}
		for i := range a.Targets {
			if a.Targets[i].Name == owner {
				add(&a.Targets[i].Addrs, oracleAddr(r))
			}
		}
	}
	a.Targets = slices.DeleteFunc(a.Targets, func(t Target) bool { return len(t.Addrs) == 0 })
	return a
}

// oracleAddr returns the address in an address record, otherwise the zero Addr.
func oracleAddr(r dnsmessage.Resource) (addr netip.Addr) {
	switch body := r.Body.(type) {
	case *dnsmessage.AResource:
		addr = netip.AddrFrom4(body.A)
	case *dnsmessage.AAAAResource:
		addr = netip.AddrFrom16(body.AAAA)
	}
	if r.Header.Class != dnsmessage.ClassINET || int(r.Header.Length) != addr.BitLen()/8 {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func oracleBinding(r dnsmessage.Resource) (dnsmessage.SVCBResource, bool) {
	internet := r.Header.Class == dnsmessage.ClassINET
	switch body := r.Body.(type) {
	case *dnsmessage.SVCBResource:
		return *body, internet
	case *dnsmessage.HTTPSResource:
		return body.SVCBResource, internet
	}
	return dnsmessage.SVCBResource{}, false
}

func oracleHints(r dnsmessage.SVCBResource) (addrs []netip.Addr) {
	for _, p := range r.Params {
		size := map[dnsmessage.SVCParamKey]int{dnsmessage.SVCParamIPv4Hint: 4, dnsmessage.SVCParamIPv6Hint: 16}[p.Key]
		if size == 0 || len(p.Value)%size != 0 || r.Priority == 0 {
			continue
		}
		for v := p.Value; len(v) > 0; v = v[size:] {
			addr, _ := netip.AddrFromSlice(v[:size])
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs
}

func recordsFit(msg []byte) bool {
	var p dnsmessage.Parser
	_, err := p.Start(msg)
	return err == nil && p.SkipAllQuestions() == nil && p.SkipAllAnswers() == nil && p.SkipAllAuthorities() == nil &&
		p.SkipAllAdditionals() == nil
}

// plainName returns the name at the start of wire, if it is complete and not compressed.
func plainName(wire []byte) ([]byte, bool) {
	for n := 0; n < len(wire); n += 1 + int(wire[n]) {
		switch {
		case wire[n] == 0:
			return wire[:n+1], true
		case wire[n] > 63:
			return nil, false
		}
	}
	return nil, false
}
