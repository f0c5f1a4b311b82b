package dns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestParse_BuiltMessages(t *testing.T) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	b.EnableCompression()
	name := dnsmessage.MustNewName("API.Example.com.")
	target := dnsmessage.MustNewName("edge.cdn.test.")
	header := func(name dnsmessage.Name) dnsmessage.ResourceHeader {
		return dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 30}
	}
	do(t, b.StartQuestions())
	do(t, b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypeALL, Class: dnsmessage.ClassINET}))
	do(t, b.StartAnswers())
	do(t, b.AAAAResource(header(target), dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}))
	do(t, b.TXTResource(header(name), dnsmessage.TXTResource{TXT: []string{"v=spf1 ip4:198.51.100.250 -all"}}))
	do(t, b.CNAMEResource(header(name), dnsmessage.CNAMEResource{CNAME: target}))
	for range 3 {
		do(t, b.AResource(header(target), dnsmessage.AResource{A: [4]byte{203, 0, 113, 1}}))
	}
	do(t, b.StartAuthorities())
	do(t, b.NSResource(header(name), dnsmessage.NSResource{NS: target}))
	do(t, b.StartAdditionals())
	do(t, b.AResource(header(target), dnsmessage.AResource{A: [4]byte{198, 51, 100, 251}}))
	msg, err := b.Finish()
	do(t, err)

	got, err := Parse(msg)
	do(t, err)
	diffAnswers(t, answer("api.example.com", "2001:db8::1", "203.0.113.1"), got,
		"answers only, repeats once, in the order of the message, beside other types")
}

func TestParse_LargeAnswer(t *testing.T) {
	const n = 4000
	msg := response(t, "many.example.com.", n)
	if len(msg) > 1<<16 {
		t.Fatalf("%d bytes do not fit on TCP", len(msg))
	}
	got, err := Parse(msg)
	do(t, err)
	if len(got.Addrs) != n || got.Truncated {
		t.Errorf("%d addresses, truncated %v; want %d", len(got.Addrs), got.Truncated, n)
	}
}

func TestParse_TruncatedAtEveryByte(t *testing.T) {
	for _, tt := range corpus {
		msg := packet(t, tt.file)
		whole, err := Parse(msg)
		if err != nil {
			continue
		}
		questionEnd := 12 + wireNameLen(msg[12:]) + 4
		for n := range msg {
			got, err := Parse(msg[:n])
			if n < questionEnd {
				if err == nil {
					t.Errorf("%s: %d bytes hold no question, got %v", tt.file, n, got)
				}
				continue
			}
			if err != nil || got.Question != whole.Question {
				t.Errorf("%s: %d bytes: %v, %v", tt.file, n, got, err)
			}
			if !slices.Equal(got.Addrs, whole.Addrs[:min(len(got.Addrs), len(whole.Addrs))]) {
				t.Errorf("%s: %d bytes hold addresses that the whole does not: %v", tt.file, n, got.Addrs)
			}
			if len(got.Addrs) < len(whole.Addrs) && !got.Truncated {
				t.Errorf("%s: %d bytes hold fewer addresses, and that is not said: %v", tt.file, n, got)
			}
		}
	}
}

// response returns an answer to an A question with n different addresses.
func response(tb testing.TB, question string, n int) []byte {
	tb.Helper()
	name := dnsmessage.MustNewName(question)
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{Response: true})
	b.EnableCompression()
	do(tb, b.StartQuestions())
	do(tb, b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}))
	do(tb, b.StartAnswers())
	for i := range n {
		r := dnsmessage.AResource{A: [4]byte{198, 18}}
		binary.BigEndian.PutUint16(r.A[2:], uint16(i))
		do(tb, b.AResource(dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 30}, r))
	}
	msg, err := b.Finish()
	do(tb, err)
	return msg
}

// wireNameLen returns the length of an uncompressed name, with its terminating zero.
func wireNameLen(wire []byte) int {
	n := 0
	for wire[n] != 0 {
		n += 1 + int(wire[n])
	}
	return n + 1
}

func do(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
