package dns

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// longest is a name of 255 bytes. The text of each byte has four.
func longest() []byte {
	var wire []byte
	for _, n := range []int{63, 63, 63, 59} {
		wire = append(append(wire, byte(n)), bytes.Repeat([]byte{0xff}, n)...)
	}
	return append(wire, 1, 0xff, 0)
}

// fill appends records, each with a pointer as its owner, until the message has TCP's maximum length. It returns their
// number.
func fill(msg []byte, kind dnsmessage.Type, next func(i int) []byte) ([]byte, int) {
	for i := 0; ; i++ {
		data := next(i)
		record := binary.BigEndian.AppendUint16([]byte{0xc0, headerLen}, uint16(kind))
		record = append(record, 0, 1, 0, 0, 0, 60)
		record = append(binary.BigEndian.AppendUint16(record, uint16(len(data))), data...)
		if len(msg)+len(record) >= 1<<16 {
			return msg, i
		}
		msg = append(msg, record...)
	}
}

func TestParse_HostileAnswers(t *testing.T) {
	// The question's name has the maximum length, and all records are about it, or about one label less or more.
	question := append([]byte{0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0}, longest()...)
	label := func(i int) []byte { return []byte{2, byte(i >> 8), byte(i)&0x7f | 0x80, 0xc0, headerLen + 64} }
	for _, tt := range []struct {
		name   string
		kind   dnsmessage.Type
		data   func(i int) []byte
		reason string
	}{
		{"targets", dnsmessage.TypeSRV, func(i int) []byte { return append(make([]byte, 6), label(i)...) },
			"as many SRV targets as fit, with long names"},
		{"services", dnsmessage.TypeHTTPS, func(i int) []byte { return append([]byte{0, 1}, label(i)...) },
			"as many HTTPS targets as fit"},
		{"hints", dnsmessage.TypeHTTPS, func(i int) []byte {
			hint := []byte{0, 1, 0, 0, 4, 0, 200}
			for j := range 50 {
				hint = binary.BigEndian.AppendUint32(hint, uint32(i*50+j))
			}
			return hint
		}, "hints without end"},
		{"aliases", dnsmessage.TypeCNAME, label, "aliases without end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg, n := fill(append(question, 0, byte(tt.kind), 0, 1), tt.kind, tt.data)
			binary.BigEndian.PutUint16(msg[6:], uint16(n))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a, err := Parse(msg)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			const most = 32 << 20
			if cost := after.TotalAlloc - before.TotalAlloc; cost > most {
				t.Errorf("%d records cost %d bytes, want at most %d: %s", n, cost, most, tt.reason)
			} else {
				t.Logf("%d records, %d addresses, %d bytes", n, len(a.Addrs), cost)
			}
		})
	}
}

func TestParse_AdditionalRecordsInReverse(t *testing.T) {
	// Each record leads to the previous one: a reader that searches all records for the next one would need a thousand
	// passes.
	msg := []byte{0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'a', 0, 0, 65, 0, 1}
	name := func(i int) []byte { return []byte{2, byte('a' + i/26%26), byte('a' + i%26), 0} }
	const n = 600
	record := func(owner, target []byte) []byte {
		r := append(bytes.Clone(owner), 0, 65, 0, 1, 0, 0, 0, 60, 0, byte(2+len(target)), 0, 1)
		return append(r, target...)
	}
	msg = append(msg, record([]byte{1, 'a', 0}, name(0))...)
	for i := n; i > 0; i-- {
		msg = append(msg, record(name(i-1), name(i))...)
	}
	msg = append(msg, name(n)...)
	msg = append(msg, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 9)
	msg = append(msg, name(8)...)
	msg = append(msg, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7)
	binary.BigEndian.PutUint16(msg[10:], n+2)
	got, err := Parse(msg)
	if err != nil {
		t.Fatal(err)
	}
	diffAnswers(t, answer("a", "203.0.113.9", "203.0.113.7"), got, "to the end of the chain")
}
