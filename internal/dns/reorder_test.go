package dns

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStreams_AnySegmentation(t *testing.T) {
	random, seed := newRandom(t)
	for round := range 100 {
		messages := randomMessages(random)
		isn := random.Uint32()
		if round%2 == 0 {
			isn = -uint32(random.IntN(200)) // wraps within the stream
		}
		segments := mangle(random, isn+1, slab(messages...))
		segments = slices.Insert(segments, 0, segment{seq: isn, syn: true})

		var s Streams
		var got []string
		for i, g := range segments {
			out, err := s.Segment(1, g.seq, g.syn, g.fin, g.rst, g.payload)
			if err == nil {
				err = s.check()
			}
			if err != nil {
				t.Fatalf("seed %d, round %d, segment %d: %v", seed, round, i, err)
			}
			got = append(got, texts(out)...)
		}
		if diff := cmp.Diff(messages, got); diff != "" || s.Dropped() != 0 {
			t.Fatalf("seed %d, round %d: dropped %d (-want +got):\n%s", seed, round, s.Dropped(), diff)
		}
		if !s.streams[1].over {
			t.Fatalf("seed %d, round %d: the end was not seen", seed, round)
		}
	}
}

// The negative twin of the test above: it notices a lost segment.
func TestStreams_LostSegmentIsCounted(t *testing.T) {
	random, seed := newRandom(t)
	for round := range 100 {
		stream := slab(randomMessages(random)...)
		at := random.IntN(len(stream))
		lost := at + 1 + random.IntN(len(stream)-at)
		var s Streams
		feed(t, &s, segment{seq: 0, syn: true})
		for _, g := range []segment{
			{seq: 1, payload: stream[:at]}, {seq: uint32(1 + lost), payload: stream[lost:]},
			{seq: uint32(1 + len(stream)), fin: true},
		} {
			// If the gap exceeds the limits an error is possible, too.
			s.Segment(1, g.seq, false, g.fin, false, g.payload)
		}
		if s.Dropped() != 1 {
			t.Fatalf("seed %d, round %d: bytes %d to %d of %d lost, dropped %d", seed, round, at, lost, len(stream),
				s.Dropped())
		}
	}
}

// mangle sends a stream with sequence number base for its first byte like a bad network: in segments that may overlap,
// repeat and pass each other within a window. The last one has the FIN.
func mangle(random *rand.Rand, base uint32, stream []byte) []segment {
	var segments []segment
	for at := 0; at < len(stream); {
		n := min(1+random.IntN(1400), len(stream)-at)
		from := max(0, at-random.IntN(2)*random.IntN(100)) // repeats some bytes
		g := segment{seq: base + uint32(from), payload: stream[from : at+n]}
		at += n
		g.fin = at == len(stream)
		for range 1 + random.IntN(5)/3 {
			segments = append(segments, g)
		}
	}
	const window = 20
	for i := range segments {
		j := min(i+random.IntN(window), len(segments)-1)
		segments[i], segments[j] = segments[j], segments[i]
	}
	return segments
}

func randomMessages(random *rand.Rand) []string {
	messages := make([]string, 1+random.IntN(12))
	for i := range messages {
		n := headerLen + random.IntN(300)
		if random.IntN(10) == 0 {
			n = headerLen + random.IntN(1<<16-headerLen)
		}
		b := make([]byte, n)
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		messages[i] = string(b)
	}
	return messages
}
