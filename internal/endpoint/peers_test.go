package endpoint

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

func mustPeers(t *testing.T, addressAndName ...string) Peers {
	t.Helper()
	var peers []Peer
	for i := 0; i < len(addressAndName); i += 2 {
		p, err := ParsePeer(addressAndName[i], addressAndName[i+1])
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, p)
	}
	set, err := NewPeers(peers...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestPeers_MostSpecificWins(t *testing.T) {
	given := []string{
		"127.0.0.1:80", "addr-port",
		"localhost:80", "localhost-port",
		"db.example:80", "name-port",
		"127.0.0.1", "addr",
		"localhost", "localhost",
		"db.example", "name",
		"10.1.0.0/16", "longer",
		"10.0.0.0/8", "shorter",
		"0.0.0.0/0", "everything",
	}
	for _, tt := range []struct {
		addr   string
		port   uint16
		dns    string
		want   string
		exact  bool
		reason string
	}{
		{"127.0.0.1", 80, "db.example", "addr-port", true, "address and port before all else"},
		{"127.0.0.2", 80, "db.example", "localhost-port", true, "localhost with port is an address with port"},
		{"10.1.2.3", 80, "db.example", "name-port", true, "a name with port before networks"},
		{"127.0.0.1", 81, "db.example", "addr", false, "an address before a name"},
		{"::1", 81, "db.example", "localhost", false, "localhost before a name"},
		{"10.1.2.3", 81, "db.example", "name", false, "a name before a network"},
		{"10.1.2.3", 81, "", "longer", false, "the longest network"},
		{"10.2.2.3", 81, "other.example", "shorter", false, "the only fitting network but one"},
		{"192.0.2.1", 81, "", "everything", false, "the last resort"},
		{"2001:db8::1", 81, "", "", false, "nothing fits"},
	} {
		for range 20 {
			shuffled := append([]string(nil), given...)
			rand.Shuffle(len(given)/2, func(i, j int) {
				shuffled[2*i], shuffled[2*j] = shuffled[2*j], shuffled[2*i]
				shuffled[2*i+1], shuffled[2*j+1] = shuffled[2*j+1], shuffled[2*i+1]
			})
			got := mustPeers(t, shuffled...).Match(netip.MustParseAddr(tt.addr), tt.port, tt.dns)
			if got.Name != tt.want || got.Exact() != tt.exact {
				t.Fatalf("%s: got %+v, want %q, %v (%v)", tt.reason, got, tt.want, tt.exact, shuffled)
			}
		}
	}
}

func TestPeers_EmptyMatchesNothing(t *testing.T) {
	if got := (Peers{}).Match(netip.MustParseAddr("127.0.0.1"), 80, "db"); got != (Peer{}) {
		t.Errorf("got %+v", got)
	}
}

func TestPeers_Contradiction(t *testing.T) {
	parse := func(address, name string) Peer {
		p, err := ParsePeer(address, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	_, err := NewPeers(parse("10.0.0.1:80", "a"), parse("db:80", "x"), parse("[::ffff:10.0.0.1]:80", "b"))
	const want = `collect peers: "10.0.0.1:80" is named "a" and "b": keep one`
	if err == nil || err.Error() != want {
		t.Errorf("two spellings with two names: got %v, want %s", err, want)
	}
	_, err = NewPeers(parse("10.0.0.1:80", "a:81"), parse("10.0.0.1:80", "a"))
	const wantPorts = `collect peers: "10.0.0.1:80" is named "a:81" and "a": keep one`
	if err == nil || err.Error() != wantPorts {
		t.Errorf("one name with and without a port: got %v, want %s", err, wantPorts)
	}
	if _, err := NewPeers(parse("10.0.0.1:80", "a:80"), parse("10.0.0.1:80", "a:81")); err == nil {
		t.Error("one name with two ports: no error")
	}
	if _, err := NewPeers(parse("10.0.0.1:80", "a:81"), parse("[::ffff:10.0.0.1]:80", "a:81")); err != nil {
		t.Errorf("two spellings with one name and port: %v", err)
	}
	if _, err := NewPeers(parse("10.0.0.1:80", "a"), parse("[::ffff:10.0.0.1]:80", "a")); err != nil {
		t.Errorf("two spellings with one name: %v", err)
	}
	if _, err := NewPeers(parse("10.0.0.1:80", "a"), parse("10.0.0.1:81", "b"), parse("10.0.0.1", "c")); err != nil {
		t.Errorf("different patterns: %v", err)
	}
}

func TestPeers_ErrorAdvice(t *testing.T) {
	long := strings.Repeat("a", 64)
	for _, tt := range []struct{ address, name, want string }{
		{"*.example.com", "db", "has a wildcard, but a Peer is one workload"},
		{"10.0.0.0/8:53", "db", `is a CIDR with a port: write the CIDR "10.0.0.0/8" alone`},
		{"db:0", "db", `parse Peer("db:0", "db"): address has the port 0`},
		{"db:80", "", `parse Peer("db:80", ""): name is empty`},
		{"db:80", "Orders_DB", `name "Orders_DB" has 'O' at byte 0, only lower-case letters, digits and '-' may ` +
			`stand there: write "orders-db"`},
		{"db:80", "203.0.113.7:443", `name "203.0.113.7" is an address: write the DNS name or the workload's name ` +
			`that 203.0.113.7 stands for`},
		{"db:80", "*.stripe.com:443", `name "*.stripe.com" has a wildcard, but a Peer is one workload or host: ` +
			`write one name`},
		{"db:80", "api..com:443", `name has "api..com" with an empty label: remove the extra '.'`},
		{"db:80", "api.stripe.443", `name has "api.stripe.443", which is neither an IP address nor a DNS name`},
		{"db:80", "-db", `name "-db" begins or ends with '-': write "db"`},
		{"db:80", "db-", `begins or ends with '-'`},
		{"db:80", "dé", `has 'é' at byte 1`},
		{"db:80", "--", `write a name such as "orders-db"`},
		{"db:80", long, `is 64 bytes long, a Kubernetes name has at most 63: write "` + long[:63] + `"`},
		{"db:80", "search:", `parse Peer("db:80", "search:"): name "search:" has no port after ':': write "search" ` +
			`for the port that is dialled, or add the one at which search serves`},
		{"db:80", "search:0", `name "search:0" has the port 0: write "search" for the port that is dialled`},
		{"db:80", "search:65536", `parse Peer("db:80", "search:65536"): name "search:65536" has the port 65536: ` +
			`ports go from 1 to 65535`},
		{"db:80", "search:http", `name "search:http" has the port "http": service names differ between machines, ` +
			`write the number`},
		{"db:80", "search:-1", `name "search:-1" has the port "-1"`},
		{"db:80", "search: 80", `name "search: 80" has the port " 80"`},
		{"db:80", "search:80:81", `name "search:80:81" has more than one ':': write name:port, such as "search:8080"`},
		{"db:80", ":8080", `parse Peer("db:80", ":8080"): name is empty: write the workload's name`},
		{"db:80", "Search:8080", `parse Peer("db:80", "Search:8080"): name "Search" has 'S' at byte 0`},
	} {
		_, err := ParsePeer(tt.address, tt.name)
		if err == nil {
			t.Errorf("ParsePeer(%q, %q) succeeded, want an error with %q", tt.address, tt.name, tt.want)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParsePeer(%q, %q) = %q, want it to hold %q", tt.address, tt.name, err, tt.want)
		}
	}
	if p, err := ParsePeer("10.0.0.1/32:80", "db"); err != nil || p.String() != "10.0.0.1:80" {
		t.Errorf("a network of one address with a port is that address: got %v, %v", p, err)
	}
}

func TestPeers_PodPort(t *testing.T) {
	for _, tt := range []struct {
		address, name string
		wantName      string
		wantPort      uint16
		reason        string
	}{
		{"127.0.0.1:43121", "search:8080", "search", 8080, "an address with a port"},
		{"127.0.0.1", "search:8080", "search", 8080, "an address without"},
		{"10.0.0.0/8", "search:1", "search", 1, "a network"},
		{"search.example", "search:65535", "search", 65535, "a DNS name"},
		{"127.0.0.1:43121", "search", "search", 0, "none given"},
	} {
		got, err := ParsePeer(tt.address, tt.name)
		if err != nil || got.Name != tt.wantName || got.PodPort != tt.wantPort || got.namePort() != tt.name {
			t.Errorf("%s: ParsePeer(%q, %q) = %+v, %v, want %q, %d", tt.reason, tt.address, tt.name, got, err,
				tt.wantName, tt.wantPort)
		}
	}
}
