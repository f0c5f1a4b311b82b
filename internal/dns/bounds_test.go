package dns

import (
	"bytes"
	"errors"
	"testing"
)

func TestStreams_OverflowDropsIdleFirst(t *testing.T) {
	var s Streams
	half, rest := three[:9], three[9:]
	cookie := func(i int) uint64 { return uint64(i + 1) }
	for i := range MaxStreams {
		feed(t, &s, segment{cookie: cookie(i), seq: 1, payload: half})
	}
	// This connection has no rest, so it goes first although its segment is the latest.
	idle := cookie(7)
	feed(t, &s, segment{cookie: idle, seq: 10, payload: rest})
	newcomer := cookie(MaxStreams)
	feed(t, &s, segment{cookie: newcomer, seq: 1, payload: half})
	if s.Dropped() != 0 || len(s.streams) != MaxStreams || s.streams[idle] != nil {
		t.Fatalf("dropped %d, %d connections, idle one known: %v", s.Dropped(), len(s.streams), s.streams[idle] != nil)
	}
	if got := feed(t, &s, segment{cookie: newcomer, seq: 10, payload: rest}); len(got) != 3 {
		t.Errorf("the newcomer read %q", got)
	}
	// The idle connection sends again and replaces the new one, which is idle by now.
	if got := feed(t, &s, segment{cookie: idle, seq: 10 + uint32(len(rest)), payload: slab(beta)}); len(got) != 1 ||
		s.Dropped() != 0 {
		t.Errorf("the idle one read %q, dropped %d", got, s.Dropped())
	}
}

func TestStreams_OverflowMidMessageDropsLongestIdle(t *testing.T) {
	var s Streams
	for i := range MaxStreams {
		feed(t, &s, segment{cookie: uint64(i + 1), seq: 1, payload: three[:9]})
	}
	feed(t, &s, segment{cookie: 1, seq: 10, payload: three[9:10]}) // now the second one is idle for longest
	feed(t, &s, segment{cookie: 1 << 40, seq: 1, payload: three[:9]})
	if s.Dropped() != 1 || len(s.streams) != MaxStreams || s.streams[1] == nil || s.streams[2] != nil {
		t.Errorf("dropped %d, %d connections, first known: %v, second known: %v",
			s.Dropped(), len(s.streams), s.streams[1] != nil, s.streams[2] != nil)
	}
}

func TestStreams_SequentialConnections(t *testing.T) {
	var s Streams
	for i := range 10 * MaxStreams {
		got := feed(t, &s,
			segment{cookie: uint64(i + 1), seq: 1, syn: true},
			segment{cookie: uint64(i + 1), seq: 2, payload: three}) // no FIN: the client closed
		if len(got) != 3 {
			t.Fatalf("connection %d read %q", i, got)
		}
	}
	if s.Dropped() != 0 || len(s.streams) != MaxStreams {
		t.Errorf("dropped %d, %d connections", s.Dropped(), len(s.streams))
	}
}

func TestStreams_TooManyPieces(t *testing.T) {
	var s Streams
	feed(t, &s, segment{seq: 0, syn: true})
	for i := range maxPieces {
		feed(t, &s, segment{seq: uint32(10 + 2*i), payload: []byte{1}},
			segment{seq: uint32(10 + 2*i), payload: []byte{1}})
	}
	_, err := s.Segment(1, 10+2*maxPieces, false, false, false, []byte{1})
	if !errors.Is(err, errGap) || s.Dropped() != 1 || s.streams[1].ahead != nil {
		t.Errorf("error %v, dropped %d", err, s.Dropped())
	}
	if _, err := s.Segment(1, 1, false, false, false, three); err != nil || s.Dropped() != 1 {
		t.Errorf("what comes after giving up: error %v, dropped %d; want no second count", err, s.Dropped())
	}
}

func TestStreams_RestReleasesSegment(t *testing.T) {
	var s Streams
	long := append(bytes.Repeat(slab(alpha), 10_000), slab(beta)[:3]...)
	feed(t, &s, segment{seq: 1, payload: long})
	if c := s.streams[1]; len(c.pending) != 3 || cap(c.pending) > 64 {
		t.Errorf("3 bytes pending are %d in a buffer of %d", len(c.pending), cap(c.pending))
	}
}

func TestStreams_LongConnectionWithoutStart(t *testing.T) {
	old := segment{seq: 90, payload: []byte("from before the recording")}
	for _, tt := range []struct {
		name    string
		read    int
		dropped uint64
		reason  string
	}{
		{"short", provenLen - 1, 1, "it may be a start that came out of order"},
		{"long", provenLen, 0, "sequence numbers come round, so that base says nothing in the end"},
	} {
		var s Streams
		stream := bytes.Repeat(slab(alpha), tt.read/len(slab(alpha))+1)
		feed(t, &s, segment{seq: 100, payload: stream[:tt.read]})
		s.Segment(1, old.seq, false, false, false, old.payload)
		if s.Dropped() != tt.dropped {
			t.Errorf("%s: dropped %d, want %d: %s", tt.name, s.Dropped(), tt.dropped, tt.reason)
		}
	}
}

func TestStreams_HostileSegmentsStayInBounds(t *testing.T) {
	random, seed := newRandom(t)
	var s Streams
	payload := make([]byte, 4096)
	for range 5_000 {
		flags := random.IntN(40)
		n := random.IntN(len(payload))
		for i := range payload[:min(n, 8)] {
			payload[i] = byte(random.Uint32())
		}
		seq := uint32(random.IntN(1 << 18))
		if random.IntN(50) == 0 {
			seq = random.Uint32()
		}
		s.Segment(uint64(random.IntN(2*MaxStreams)), seq, flags == 0, flags == 1, flags == 2, payload[:n])
		if err := s.check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if s.Dropped() == 0 {
		t.Errorf("seed %d: nothing dropped of garbage", seed)
	}
}

// check returns an error if a limit in the documentation of Streams is exceeded.
func (s *Streams) check() error {
	if len(s.streams) > MaxStreams {
		return errors.New("too many connections")
	}
	for _, c := range s.streams {
		held := 0
		for _, p := range c.ahead {
			held += len(p.data)
		}
		switch {
		case len(c.pending) >= lengthLen+1<<16:
			return errors.New("too much pending")
		case held != c.held || held > maxAhead || len(c.ahead) > maxPieces:
			return errors.New("too much ahead of a gap, or counted wrongly")
		case c.over && (len(c.pending) > 0 || len(c.ahead) > 0):
			return errors.New("the dead keep bytes")
		}
	}
	return nil
}
