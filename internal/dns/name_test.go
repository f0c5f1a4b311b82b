package dns

import (
	"bytes"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestHost_OfQuestion(t *testing.T) {
	for _, tt := range []struct {
		question string
		kind     dnsmessage.Type
		want     string
		reason   string
	}{
		{"api.test", dnsmessage.TypeA, "api.test", "the plain case"},
		{"_api.test", dnsmessage.TypeA, "_api.test", "an odd host is one"},
		{"api.test", dnsmessage.TypeHTTPS, "api.test", "the port is 443"},
		{"_8443._https.api.test", dnsmessage.TypeHTTPS, "api.test", "port and scheme"},
		{"_dns.api.test", dnsmessage.TypeSVCB, "api.test", "scheme"},
		{"_8443._https.api.test", dnsmessage.TypeA, "_8443._https.api.test",
			"an address query: so this is the host"},
		{"_dns", dnsmessage.TypeSVCB, "_dns", "nothing would be left"},
		{"_8443._https", dnsmessage.TypeHTTPS, "_8443._https", "nothing would be left"},
		{"_pg._tcp.db.test", dnsmessage.TypeSRV, "", "a service is no host"},
		{"db.test", dnsmessage.TypeSRV, "", "whatever its name"},
		{"", dnsmessage.TypeHTTPS, "", "the root"},
	} {
		if got := host(tt.question, tt.kind); got != tt.want {
			t.Errorf("host(%q, %v) = %q, want %q: %s", tt.question, tt.kind, got, tt.want, tt.reason)
		}
	}
}

func TestCompleted_SearchList(t *testing.T) {
	for _, tt := range []struct {
		name, alias string
		want        string
		reason      string
	}{
		{"api.test.shop.svc.cluster.local", "api.test", "api.test", "completed by nothing"},
		{"db.data.shop.svc.cluster.local", "db.data.svc.cluster.local", "db.data.svc.cluster.local",
			"completed by svc.cluster.local"},
		{"api.pay.shop.svc.cluster.local", "api.pay.corp.example", "api.pay.corp.example",
			"completed by the node's search domain"},
		{"api.test.shop.svc.cluster.local", "edge.test", "api.test.shop.svc.cluster.local",
			"another host: an alias as any other"},
		{"api.test.shop.svc.cluster.local", "api.testing", "api.test.shop.svc.cluster.local", "labels are whole"},
		{"api.shop.svc.cluster.local", "api.example.com", "api.shop.svc.cluster.local",
			"ExternalName, or so it may be"},
		{"shop.svc.cluster.local", "shop.example.com", "shop.svc.cluster.local", "nothing before the namespace"},
		{"svc.cluster.local", "example.com", "svc.cluster.local", "no namespace"},
		{"www.example.com", "www.example.com.cdn.test", "www.example.com", "no cluster name: CDNs call their hosts so"},
		{"", "", "", "the root"},
	} {
		if got := completed(tt.name, tt.alias); got != tt.want {
			t.Errorf("completed(%q, %q) = %q, want %q: %s", tt.name, tt.alias, got, tt.want, tt.reason)
		}
	}
}

func TestHash_SameAsKernel(t *testing.T) {
	for _, tt := range []struct {
		name   string
		want   uint64
		reason string
	}{
		// Computed by a program in another language, from the definition.
		{"", 0xcbf29ce484222325, "the root: nothing hashed, and the bit is set in the start value"},
		{"example.com", 0x95baea1edc288222, "two labels"},
		{"www.example.com", 0xa2dd1c96a579734a, "three labels"},
		{"orders-db.default.svc.cluster.local", 0xfc9c9386ba0f06e2, "a cluster name"},
		{"_ldap._tcp.example.com", 0xd0abb76bc92524ff, "underscores are bytes like any other"},
		{"xn--bcher-kva.example", 0xb2a8a4848437fa42, "punycode stays"},
		{`\042.test`, 0xbcce3c4078e5be42, "an escaped byte is hashed as the byte"},
		{`a\046b.test`, 0xadea8d7dad404be7, "an escaped dot ends no label"},
		{`a\.b.test`, 0xadea8d7dad404be7, "the same, as other programs write it"},
		{"Example.COM", 0x95baea1edc288222, "case makes no difference"},
		{"example.com.", 0x95baea1edc288222, "nor does a trailing dot"},
		{".", 0xcbf29ce484222325, "the root, as others write it"},
	} {
		if got := Hash(tt.name); got != tt.want {
			t.Errorf("Hash(%q) = %#x, want %#x: %s", tt.name, got, tt.want, tt.reason)
		}
	}
}

func TestHash_DistinctNames(t *testing.T) {
	seen := map[uint64]string{}
	for _, name := range []string{
		"", "a", "b", "a.b", "ab", "b.a", `a\046b`, `a\042`, "a-b", "a_b", "a.b.c", "ab.c", "a.bc", "api.a.com",
		"api.b.com", "aapi.com",
	} {
		hash := Hash(name)
		if other, ok := seen[hash]; ok {
			t.Errorf("%q and %q share %#x", name, other, hash)
		}
		if hash>>63 != 1 {
			t.Errorf("Hash(%q) = %#x: the highest bit says that it is a question", name, hash)
		}
		seen[hash] = name
	}
}

func TestHash_CanonicalSameAsWire(t *testing.T) {
	random, seed := newRandom(t)
	for range 2000 {
		wire := randomName(random)
		a, err := Parse(append(append([]byte{0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0}, wire...), 0, 1, 0, 1))
		if err != nil {
			t.Fatalf("seed %d: parse %x: %v", seed, wire, err)
		}
		if want := kernelHash(wire); Hash(a.Question) != want {
			t.Fatalf("seed %d: %x is %q with hash %#x, want %#x", seed, wire, a.Question, Hash(a.Question), want)
		}
		if i := strings.IndexFunc(a.Question, unsafe); i >= 0 {
			t.Fatalf("seed %d: %x is %q, unsafe at %d", seed, wire, a.Question, i)
		}
	}
}

func TestCanonical_ZeroName(t *testing.T) {
	if got := canonical(dnsmessage.Name{}); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestUnescape_UnusualInput(t *testing.T) {
	for _, name := range []string{`\`, `a\`, `\1`, `\12`, `\999`, `\x`, `a..b`, `..`, strings.Repeat("a", 300)} {
		if Hash(name)>>63 != 1 {
			t.Errorf("Hash(%q) lacks its highest bit", name)
		}
	}
}

// kernelHash is the definition, over the wire format: an oracle independent of Hash.
func kernelHash(wire []byte) uint64 {
	h := fnv.New64a()
	// No length byte is a letter: a label has at most 63 bytes and A is 65.
	h.Write(asciiLower(wire[:wireNameLen(wire)-1]))
	return h.Sum64() | 1<<63
}

func asciiLower(wire []byte) []byte {
	out := bytes.Clone(wire)
	for i, b := range out {
		if b >= 'A' && b <= 'Z' {
			out[i] = b | 0x20
		}
	}
	return out
}

func unsafe(r rune) bool {
	return !strings.ContainsRune(`abcdefghijklmnopqrstuvwxyz0123456789-_.\`, r)
}

// randomName returns a name in wire format, of any bytes but the dot.
func randomName(random *rand.Rand) []byte {
	var wire []byte
	for range random.IntN(5) {
		n := 1 + random.IntN(40)
		wire = append(wire, byte(n))
		for range n {
			b := byte(random.Uint32())
			if b == '.' {
				b = '-'
			}
			wire = append(wire, b)
		}
	}
	return append(wire, 0)
}
