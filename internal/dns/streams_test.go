package dns

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// segment is one call of Streams.Segment, and its expected result.
type segment struct {
	cookie        uint64 // 0 stands for 1
	seq           uint32
	syn, fin, rst bool
	payload       []byte
	want          []string
	wantErr       error
}

// Three messages, identified by their first byte, and the stream with all of them.
var (
	alpha = "a-message-of-some-length"
	beta  = "bravo-message"
	gamma = "charlie-is-the-last-message"
	three = slab(alpha, beta, gamma)
)

func TestStreams_Segments(t *testing.T) {
	const isn = 1000
	n := uint32(len(three))
	first := uint32(len(slab(alpha)))
	for _, tt := range []struct {
		name     string
		segments []segment
		dropped  uint64
		reason   string
	}{
		{name: "whole", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three, want: []string{alpha, beta, gamma}},
		}, reason: "one segment may carry several messages"},
		{name: "length and message in separate segments", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:2]},
			{seq: isn + 3, payload: three[2:first], want: []string{alpha}},
		}, reason: "many servers write the length on its own"},
		{name: "cut in the length", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:first+1], want: []string{alpha}},
			{seq: isn + 2 + first, payload: three[first+1:], want: []string{beta, gamma}},
		}, reason: "segments know no messages"},
		{name: "no SYN seen", segments: []segment{
			{seq: isn, payload: three, want: []string{alpha, beta, gamma}},
		}, reason: "the recording may start later than the connection"},
		{name: "payload on the SYN", segments: []segment{
			{seq: isn, syn: true, payload: three, want: []string{alpha, beta, gamma}},
		}, reason: "TCP Fast Open"},
		{name: "SYN-ACK repeated", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:first], want: []string{alpha}}, {seq: isn, syn: true},
			{seq: isn + 1 + first, payload: three[first:], want: []string{beta, gamma}},
		}, reason: "it is the same connection"},
		{name: "SYN-ACK after the first payload", segments: []segment{
			{seq: isn + 1, payload: three[:first], want: []string{alpha}}, {seq: isn, syn: true},
			{seq: isn + 1 + first, payload: three[first:], want: []string{beta, gamma}},
		}, reason: "the guess was right"},
		{name: "socket connected again", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, fin: true, payload: three, want: []string{alpha, beta, gamma}},
			{seq: 77, syn: true}, {seq: 78, payload: slab(beta), want: []string{beta}},
		}, reason: "another SYN is another connection"},
		{name: "repeat", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three, want: []string{alpha, beta, gamma}},
			{seq: isn + 1, payload: three},
		}, reason: "a retransmission says nothing new"},
		{name: "repeat behind the end", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, fin: true, payload: three, want: []string{alpha, beta, gamma}},
			{seq: isn + 1, fin: true, payload: three}, {seq: isn + 5, payload: three[4:]},
		}, reason: "nor does it open a connection"},
		{name: "overlap", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:first], want: []string{alpha}},
			{seq: isn + 5, payload: three[4:], want: []string{beta, gamma}},
		}, reason: "a sender may cut its retransmission elsewhere"},
		{name: "out of order", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 11, payload: three[10:20]}, {seq: isn + 21, payload: three[20:]},
			{seq: isn + 1, payload: three[:10], want: []string{alpha, beta, gamma}},
		}, reason: "the gap is filled"},
		{name: "FIN before the bytes in front of it", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1 + n, fin: true},
			{seq: isn + 1, payload: three, want: []string{alpha, beta, gamma}},
		}, reason: "the end is not the end before all is read"},
		{name: "FIN behind what was read", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:first], want: []string{alpha}},
			{seq: isn + 5, fin: true},
			{seq: isn + 1 + first, payload: three[first:], want: []string{beta, gamma}},
		}, reason: "no server ends before what it has sent"},
		{name: "keep-alive", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: slab(alpha), want: []string{alpha}},
			{seq: isn + first, payload: []byte{0}}, {seq: isn + 1 + first, payload: slab(beta), want: []string{beta}},
		}, reason: "some stacks repeat one byte of garbage"},
		{name: "wrap", segments: []segment{
			{seq: 0xfffffff0, syn: true}, {seq: 10, payload: three[25:]},
			{seq: 0xfffffff1, payload: three[:25], want: []string{alpha, beta, gamma}},
		}, reason: "sequence numbers come round"},
		{name: "empty segments", segments: []segment{
			{seq: 5}, {seq: 9, fin: true}, {seq: 9, rst: true}, {seq: isn, syn: true}, {seq: isn + 1},
			{seq: isn + 1, payload: three, want: []string{alpha, beta, gamma}},
		}, reason: "an acknowledgement is no start of a connection"},
		{name: "two sockets", segments: []segment{
			{cookie: 1, seq: isn, syn: true}, {cookie: 2, seq: isn, syn: true},
			{cookie: 1, seq: isn + 1, payload: three[:9]},
			{cookie: 2, seq: isn + 1, payload: slab(beta), want: []string{beta}},
			{cookie: 1, seq: isn + 10, payload: three[9:], want: []string{alpha, beta, gamma}},
		}, reason: "sockets do not share bytes"},
		{name: "reset", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:first+4], want: []string{alpha}},
			{seq: isn + 5 + first, rst: true},
			{seq: isn + 5 + first, payload: three[first+4:]},
		}, reason: "the workload reads no more, so nothing is lost"},
		{name: "reset elsewhere", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:first], want: []string{alpha}},
			{seq: isn + 500, rst: true},
			{seq: isn + 1 + first, payload: three[first:], want: []string{beta, gamma}},
		}, reason: "the kernel ignores it too"},
		{name: "server stops in the middle", segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, fin: true, payload: three[:first+4], want: []string{alpha}},
		}, reason: "the workload did not get it either"},
		{name: "server stops in the middle, the SYN-ACK came late", segments: []segment{
			{seq: isn + 1, payload: three[:first], want: []string{alpha}}, {seq: isn, syn: true},
			{seq: isn + 1 + first, fin: true, payload: three[first : first+4]},
		}, reason: "once its start is known, the lengths are sound"},

		{name: "gap open", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 11, payload: three[10:]},
		}, reason: "what a gap holds back is not read"},
		{name: "gap before the FIN", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1 + n, fin: true},
		}, reason: "the bytes before the FIN are missing"},
		{name: "reset in a gap", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 11, payload: three[10:]}, {seq: isn + 1, rst: true},
		}, reason: "the gap is never filled"},
		{name: "connected again in the middle", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: three[:9]}, {seq: 77, syn: true},
		}, reason: "half a message is gone"},
		{name: "out of order without a start", dropped: 1, segments: []segment{
			{seq: isn + 10, payload: three[10:20]}, {seq: isn, payload: three[:10], wantErr: errStart},
			{seq: isn + 20, payload: three[20:]},
		}, reason: "what was taken for a length was none"},
		{name: "joined in the middle of a message", dropped: 1, segments: []segment{
			{seq: isn, payload: []byte("\xff\xffmuch less than it says"), fin: true},
		}, reason: "a length that leads nowhere, on a connection whose start was not seen"},
		{name: "length too short", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: append(slab(alpha), 0, 11, 1), want: []string{alpha},
				wantErr: errLength},
			{seq: isn + 4 + first, payload: slab(beta)},
		}, reason: "the messages before it count, those behind it are lost"},
		{name: "after giving up, connected again", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 1, payload: []byte{0, 0}, wantErr: errLength},
			{seq: 77, syn: true}, {seq: 78, payload: slab(beta), want: []string{beta}},
		}, reason: "a new connection starts afresh, and the old loss stays counted"},
		{name: "gap too large", dropped: 1, segments: []segment{
			{seq: isn, syn: true}, {seq: isn + 11, payload: make([]byte, maxAhead)},
			{seq: isn + 11 + maxAhead, payload: []byte{1}, wantErr: errGap}, {seq: isn + 1, payload: three},
		}, reason: "the bound on what waits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s Streams
			for i, g := range tt.segments {
				got, err := s.Segment(max(1, g.cookie), g.seq, g.syn, g.fin, g.rst, g.payload)
				if !errors.Is(err, g.wantErr) {
					t.Errorf("segment %d: error %v, want %v: %s", i, err, g.wantErr, tt.reason)
				}
				if diff := cmp.Diff(g.want, texts(got)); diff != "" {
					t.Errorf("segment %d: %s (-want +got):\n%s", i, tt.reason, diff)
				}
			}
			if s.Dropped() != tt.dropped {
				t.Errorf("dropped %d, want %d: %s", s.Dropped(), tt.dropped, tt.reason)
			}
		})
	}
}

func TestStreams_NoCookie(t *testing.T) {
	var s Streams
	if _, err := s.Segment(0, 1, false, false, false, three); !errors.Is(err, errNoSocket) || s.Dropped() != 1 {
		t.Errorf("error %v, dropped %d", err, s.Dropped())
	}
}

func TestStreams_FilledGap(t *testing.T) {
	var s Streams
	feed(t, &s, segment{seq: 0, syn: true}, segment{seq: 11, payload: three[10:]})
	if s.Dropped() != 1 {
		t.Errorf("an open gap is not counted: %d", s.Dropped())
	}
	feed(t, &s, segment{seq: 1, payload: three[:10]})
	if s.Dropped() != 0 {
		t.Errorf("a filled gap is counted: %d", s.Dropped())
	}
}

func TestStreams_MessagesAreCopies(t *testing.T) {
	var s Streams
	buffer := make([]byte, len(three))
	var got [][]byte
	for _, g := range []segment{
		{seq: 0, syn: true}, {seq: 21, payload: three[20:]}, {seq: 1, payload: three[:10]},
		{seq: 11, payload: three[10:20]},
	} {
		n := copy(buffer, g.payload)
		messages, err := s.Segment(1, g.seq, g.syn, false, false, buffer[:n])
		do(t, err)
		got = append(got, messages...)
		clear(buffer) // like a reader of a ring buffer with the next event
	}
	for i := range got {
		_ = append(got[i], "overrun"...)
	}
	if diff := cmp.Diff([]string{alpha, beta, gamma}, texts(got)); diff != "" {
		t.Error(diff)
	}
}

func TestStreams_LongestMessage(t *testing.T) {
	var s Streams
	long := string(bytes.Repeat([]byte("x"), 1<<16-1))
	var got []string
	for i, b := range slab(long, alpha) {
		messages, err := s.Segment(1, uint32(i), false, false, false, []byte{b})
		do(t, err)
		got = append(got, texts(messages)...)
	}
	if len(got) != 2 || got[0] != long || got[1] != alpha || s.Dropped() != 0 {
		t.Errorf("%d messages, dropped %d", len(got), s.Dropped())
	}
}

func feed(t *testing.T, s *Streams, segments ...segment) (messages []string) {
	t.Helper()
	for _, g := range segments {
		got, err := s.Segment(max(1, g.cookie), g.seq, g.syn, g.fin, g.rst, g.payload)
		do(t, err)
		messages = append(messages, texts(got)...)
	}
	return messages
}

// slab returns the messages in TCP's format.
func slab(messages ...string) (stream []byte) {
	for _, m := range messages {
		stream = append(stream, byte(len(m)>>8), byte(len(m)))
		stream = append(stream, m...)
	}
	return stream
}

func texts(messages [][]byte) (out []string) {
	for _, m := range messages {
		out = append(out, string(m))
	}
	return out
}
