package probe

import (
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
)

// clientHello returns the first payload of Go's TLS client. With the keys of today's curves it exceeds a packet of most
// networks.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		tls.Client(near, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	}()
	record := make([]byte, 5)
	_, err := io.ReadFull(far, record)
	check(t, err)
	hello := make([]byte, int(record[3])<<8|int(record[4]))
	_, err = io.ReadFull(far, hello)
	check(t, err)
	far.Close()
	return append(record, hello...)
}

// ext is an extension of a hand-made ClientHello.
type ext struct {
	number uint16
	body   []byte
}

func serverName(name string) ext {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(0)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	})
	return ext{0, b.BytesOrPanic()}
}

// handshake returns a ClientHello without record headers.
func handshake(extensions ...ext) []byte {
	var b cryptobyte.Builder
	b.AddUint8(1)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(0x0303)
		b.AddBytes(make([]byte, 32))
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(make([]byte, 32)) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(0x1301) })
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, e := range extensions {
				b.AddUint16(e.number)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.body) })
			}
		})
	})
	return b.BytesOrPanic()
}

// records splits a handshake into TLS records of at most size bytes.
func records(handshake []byte, size int) []byte {
	var all []byte
	for piece := range slices.Chunk(handshake, size) {
		all = append(all, 22, 3, 1, byte(len(piece)>>8), byte(len(piece)))
		all = append(all, piece...)
	}
	return all
}

// read is the oracle for the kernel's parser: a library parses the whole ClientHello.
func read(sent []byte) (NameSource, []byte) {
	var whole []byte
	records := cryptobyte.String(sent)
	hello := func() (body cryptobyte.String, complete bool) {
		message := cryptobyte.String(whole)
		var kind uint8
		complete = message.ReadUint8(&kind) && kind == 1 && message.ReadUint24LengthPrefixed(&body)
		return body, complete
	}
	var body cryptobyte.String
	for complete := false; !complete; body, complete = hello() {
		var kind uint8
		var version uint16
		var length uint16
		if !records.ReadUint8(&kind) || kind != 22 || !records.ReadUint16(&version) || version>>8 != 3 ||
			!records.ReadUint16(&length) || length == 0 || length > 1<<14 {
			return NamesNothing, nil
		}
		n := min(int(length), len(records))
		whole = append(whole, records[:n]...)
		records = records[n:]
	}
	var ciphers, extensions cryptobyte.String
	var session, compressions cryptobyte.String
	if !body.Skip(2+32) || !body.ReadUint8LengthPrefixed(&session) || !body.ReadUint16LengthPrefixed(&ciphers) ||
		!body.ReadUint8LengthPrefixed(&compressions) || !body.ReadUint16LengthPrefixed(&extensions) || !body.Empty() {
		return NamesNothing, nil
	}
	source := NamesByTLS
	var text []byte
	for !extensions.Empty() {
		var number uint16
		var e cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&e) {
			return NamesNothing, nil
		}
		switch {
		case number == 0xfe0d:
			source = NamesByTLSOuter
		case number == 0 && text == nil && len(e) > 512:
			return NamesNothing, nil
		case number == 0 && text == nil && len(e) > 0:
			text = e
		}
	}
	if text == nil {
		return NamesNothing, nil
	}
	return source, text
}

// The kernel's parser is our own C, and reads byte by byte. It must agree with a library about ClientHellos that are
// corrupted at random, and split into records and segments at random.
func TestClientHello_RandomCorruption(t *testing.T) {
	const seed, hellos = 6, 400
	random := rand.New(rand.NewPCG(seed, seed))
	enterNetns(t)
	r := newRig(t, Sizes{})
	to := drain(t, "tcp", netnsAddr4)
	named := 0
	for i := range hellos {
		var extensions []ext
		for range random.IntN(5) {
			extensions = append(extensions, ext{uint16(1 + random.IntN(60)), make([]byte, random.IntN(300))})
		}
		extensions = append(extensions, serverName("api.pay.test"))
		if random.IntN(3) == 0 {
			extensions = append(extensions, ext{0xfe0d, make([]byte, random.IntN(200))})
		}
		random.Shuffle(len(extensions), func(i, j int) { extensions[i], extensions[j] = extensions[j], extensions[i] })
		sent := records(handshake(extensions...), 1+random.IntN(600))
		switch random.IntN(4) {
		case 0: // unchanged
		case 1:
			sent = sent[:1+random.IntN(len(sent))]
		default: // not the first byte, which identifies the ClientHello
			for range 1 + random.IntN(3) {
				sent[1+random.IntN(len(sent)-1)] += byte(1 + random.IntN(255))
			}
		}
		_, err := r.NextGeneration() // so that known names are reported again
		check(t, err)
		r.clear()
		sendPayload(t, to, slices.Collect(slices.Chunk(sent, 1+random.IntN(700)))...)
		source, text := read(sent)
		events := seen[*NameEvent](r)
		if len(events) != 1 {
			t.Fatalf("hello %d (%x): %d events, want 1", i, sent, len(events))
		}
		diff := cmp.Diff(text, events[0].Text)
		if diff != "" && len(text)+len(events[0].Text) > 0 || source != events[0].Source {
			t.Errorf("hello %d (%x): source %d, want %d; text (-want +got):\n%s", i, sent, events[0].Source, source, diff)
		}
		if source != NamesNothing {
			named++
		}
	}
	if named < hellos/4 || named > hellos*3/4 {
		t.Errorf("%d of %d hellos have a name: want some with and some without", named, hellos)
	}
	r.mustLoseNothing()
}
