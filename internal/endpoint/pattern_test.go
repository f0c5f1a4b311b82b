package endpoint

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPattern_Match(t *testing.T) {
	type destination struct {
		addr string
		port uint16
		name string
	}
	for _, tt := range []struct {
		pattern string
		reason  string
		in      []destination
		out     []destination
	}{
		{"10.0.0.1", "an address without a port is every port of it",
			[]destination{{"10.0.0.1", 80, ""}, {"::ffff:10.0.0.1", 443, "x.example"}},
			[]destination{{"10.0.0.2", 80, ""}, {"::10.0.0.1", 80, ""}}},
		{"10.0.0.1:80", "the port counts",
			[]destination{{"10.0.0.1", 80, ""}}, []destination{{"10.0.0.1", 81, ""}, {"10.0.0.2", 80, ""}}},
		{"::ffff:10.0.0.1", "a mapped address is its IPv4 address",
			[]destination{{"10.0.0.1", 80, ""}}, []destination{{"10.0.0.2", 80, ""}}},
		{"2001:db8::1", "IPv6 without brackets has no port",
			[]destination{{"2001:db8::1", 1, ""}}, []destination{{"2001:db8::2", 1, ""}}},
		{"[2001:db8::1]:443", "IPv6 with a port",
			[]destination{{"2001:db8::1", 443, ""}}, []destination{{"2001:db8::1", 444, ""}}},
		{"[fe80::1]", "brackets without a port; zones of destinations are dropped",
			[]destination{{"fe80::1%lo", 443, ""}}, []destination{{"fe80::2", 443, ""}}},
		{"10.0.0.0/8", "a network", []destination{{"10.255.255.255", 9, ""}}, []destination{{"11.0.0.0", 9, ""}}},
		{"0.0.0.0/0", "all of IPv4 is not IPv6", []destination{{"192.0.2.1", 9, ""}},
			[]destination{{"2001:db8::1", 9, ""}}},
		{"10.0.0.0/8:53", "a network with a port", []destination{{"10.1.1.1", 53, ""}},
			[]destination{{"10.1.1.1", 54, ""}}},
		{"[2001:db8::/32]:53", "an IPv6 network with a port",
			[]destination{{"2001:db8::9", 53, ""}}, []destination{{"2001:db8::9", 54, ""}, {"2001:db9::9", 53, ""}}},
		{"[2001:db8::]/32:53", "the same, brackets around the address",
			[]destination{{"2001:db8::9", 53, ""}}, []destination{{"2001:db9::9", 53, ""}}},
		{"::ffff:10.0.0.0/104", "a mapped network is its IPv4 network",
			[]destination{{"10.9.9.9", 1, ""}}, []destination{{"11.9.9.9", 1, ""}}},
		{"API.Example.com.", "names know neither case nor the trailing dot",
			[]destination{{"192.0.2.1", 1, "api.example.COM"}, {"192.0.2.1", 1, "api.example.com."}},
			[]destination{{"192.0.2.1", 1, ""}, {"192.0.2.1", 1, "x.api.example.com"}}},
		{"my_db:5432", "compose services may have '_'",
			[]destination{{"10.0.0.9", 5432, "my_db"}}, []destination{{"10.0.0.9", 5433, "my_db"}}},
		{"*.example.com", "a wildcard is one or more labels",
			[]destination{{"192.0.2.1", 1, "a.example.com"}, {"192.0.2.1", 1, "a.b.example.com"}},
			[]destination{{"192.0.2.1", 1, "example.com"}, {"192.0.2.1", 1, ".example.com"},
				{"192.0.2.1", 1, "aexample.com"}, {"192.0.2.1", 1, ""}}},
		{"*.example.com:443", "a wildcard with a port",
			[]destination{{"192.0.2.1", 443, "a.example.com"}}, []destination{{"192.0.2.1", 80, "a.example.com"}}},
		{"localhost", "every loopback address, and the unspecified ones, which reach it",
			[]destination{{"127.0.0.1", 1, ""}, {"127.9.9.9", 1, ""}, {"::1", 1, ""}, {"::ffff:127.0.0.1", 1, ""},
				{"0.0.0.0", 1, ""}, {"::", 1, ""}},
			[]destination{{"128.0.0.1", 1, ""}, {"::2", 1, "localhost"}}},
		{"localhost:80", "with a port", []destination{{"::1", 80, ""}}, []destination{{"::1", 81, ""}}},
	} {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %q does not parse: %v", tt.reason, tt.pattern, err)
			continue
		}
		for _, d := range tt.in {
			if !p.Match(netip.MustParseAddr(d.addr), d.port, d.name) {
				t.Errorf("%s: %q does not match %v", tt.reason, tt.pattern, d)
			}
		}
		for _, d := range tt.out {
			if p.Match(netip.MustParseAddr(d.addr), d.port, d.name) {
				t.Errorf("%s: %q matches %v", tt.reason, tt.pattern, d)
			}
		}
	}
}

func TestPattern_ZeroMatchesNothing(t *testing.T) {
	for _, a := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("2001:db8::1")} {
		if (Pattern{}).Match(a, 0, "") {
			t.Errorf("the zero Pattern matches %v", a)
		}
	}
	if p, err := parsePattern("0.0.0.0/0"); err != nil || p.Match(netip.Addr{}, 1, "") {
		t.Errorf("0.0.0.0/0 matches the zero address (%v)", err)
	}
}

func TestPattern_ErrorAdvice(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", "is empty: write host:port"},
		{" 10.0.0.1", "white space at byte 0"},
		{"a, b", "white space at byte 2"},
		{"a\x00b", "unprintable character at byte 1"},
		{"a\u200bb", "unprintable character at byte 1"},
		{"https://api.stripe.com/v1", `drop the scheme and write "api.stripe.com:443"`},
		{"http://user:secret@db:8080/x?y#z", `drop the scheme and write "db:8080"`},
		{"http://[::1]/", `drop the scheme and write "[::1]:80"`},
		{"postgres://db", `drop the scheme and write "db"`},
		{"http://", "drop the scheme and write host:port"},
		{":8080", `no host before the port: write "localhost:8080"`},
		{"db:", `no port after ':': write "db" for every port`},
		{"db:http", `port "http": service names differ`},
		{"db:-1", `port "-1"`},
		{"db:0", `port 0: nothing can be reached there, write "db"`},
		{"db:65536", "port 65536: ports go from 1 to 65535"},
		{"db:99999999999999999999", "ports go from 1 to 65535"},
		{"[::1]:0", "port 0"},
		{"[::1", "'[' without ']'"},
		{"[::1]x", `"x" after ']'`},
		{"[10.0.0.1]:80", `brackets around "10.0.0.1": they are for IPv6 only, write "10.0.0.1:80"`},
		{"[]:80", "they are for IPv6 only"},
		{"a:b:80", "not an IPv6 address"},
		{"10.0.0.1:80:90", "not an IPv6 address"},
		{"fe80::1%eth0", `zone "eth0", which means something on one machine only: write "fe80::1"`},
		{"0.0.0.0:80", "no client connects: write localhost"},
		{"::", "or ::/0 for everywhere"},
		{"::ffff:0.0.0.0", "0.0.0.0/0"},
		{"10.0.0.1/24", "host bits set: write 10.0.0.0/24 for the network, or 10.0.0.1 for the one address"},
		{"2001:db8::1/32", "write 2001:db8::/32 for the network"},
		{"::ffff:10.0.0.1/120", "write 10.0.0.0/24 for the network"},
		{"::ffff:0.0.0.0/90", "write 0.0.0.0/0 for all of IPv4"},
		{"10.0.0.0/33", `prefix length "33": for 10.0.0.0 it is a number from 0 to 32`},
		{"10.0.0.0/", `prefix length ""`},
		{"10.0.0.0/08", `prefix length "08"`},
		{"10.0.0.0/255.0.0.0", `prefix length "255.0.0.0"`},
		{"0.0.0.0/32", "no client connects"},
		{"fe80::%eth0/64", `zone "eth0"`},
		{"api.example.com/v1", `has a path or is a malformed CIDR: write "api.example.com"`},
		{"db:80/path", `write "db:80"`},
		{"10.0.0.256", "neither an IP address nor a DNS name"},
		{"10.0.0", "neither an IP address nor a DNS name"},
		{"010.0.0.1", "without leading zeros"},
		{"a..b", "empty label"},
		{".", "empty label"},
		{".example.com", "empty label"},
		{"-a.example.com", `label "-a", which begins or ends with '-'`},
		{"a-.example.com", `label "a-"`},
		{"müller.example", "in its xn-- form"},
		{"a,b", `',' in "a,b"`},
		{"user@host", "'@'"},
		{"*", "write *.example.com"},
		{"*.", "write *.example.com"},
		{"*example.com", "write *.example.com"},
		{"a.*.com", "only the front may be a wildcard"},
		{"*.*.com", "only the front may be a wildcard"},
		{strings.Repeat("a", 64), "label of 64 bytes"},
		{strings.Repeat("a.", 127) + "example", "at most 253"},
	} {
		_, err := ParseIgnore(tt.in)
		if err == nil {
			t.Errorf("ParseIgnore(%q) succeeded, want an error with %q", tt.in, tt.want)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("ParseIgnore(%q) = %q, want it to hold %q", tt.in, err, tt.want)
		}
	}
}

// The advice in an error has to work.
func TestPattern_AdviceParses(t *testing.T) {
	for _, in := range []string{
		"https://api.stripe.com/v1", "http://user:secret@db:8080/x", "http://[::1]/", ":8080", "db:", "db:0",
		"[10.0.0.1]:80", "fe80::1%eth0", "api.example.com/v1", "db:80/path",
	} {
		_, err := ParseIgnore(in)
		if err == nil {
			t.Errorf("ParseIgnore(%q) succeeded", in)
			continue
		}
		_, advice, _ := strings.Cut(err.Error(), `write "`)
		advice, _, _ = strings.Cut(advice, `"`)
		if _, err := ParseIgnore(advice); err != nil {
			t.Errorf("ParseIgnore(%q) suggests %q: %v", in, advice, err)
		}
	}
}

func TestPattern_ErrorNamesOption(t *testing.T) {
	_, err := ParseIgnore("db:0")
	const want = `parse Ignore("db:0"): address has the port 0: nothing can be reached there, write "db" for every port`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestPattern_CanonicalSpelling(t *testing.T) {
	for want, spellings := range map[string][]string{
		"10.0.0.1":           {"10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1/32", "::ffff:a00:1/128"},
		"10.0.0.1:80":        {"10.0.0.1:80", "[::ffff:10.0.0.1]:80", "10.0.0.1:0080", "10.0.0.1/32:80"},
		"2001:db8::1":        {"2001:db8::1", "[2001:DB8:0::1]", "2001:db8::1/128"},
		"10.0.0.0/8":         {"10.0.0.0/8", "::ffff:10.0.0.0/104"},
		"[2001:db8::/32]:53": {"[2001:db8::/32]:53", "[2001:db8::]/32:53", "2001:db8::/32:53"},
		"localhost":          {"localhost", "LOCALHOST."},
		"*.example.com:443":  {"*.Example.COM.:443"},
	} {
		for _, s := range spellings {
			p, err := parsePattern(s)
			if err != nil || p.String() != want {
				t.Errorf("parsePattern(%q) = %q, %v, want %q", s, p, err, want)
			}
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, s := range []string{
		"", "10.0.0.1", "10.0.0.1:80", "[::1]:80", "::1", "10.0.0.0/8:53", "[2001:db8::/32]:53", "*.example.com:443",
		"localhost", "http://x:1/", "::ffff:10.0.0.0/104", "a.b.", "[a]", "[::1]/", "fe80::1%eth0", "0.0.0.0/0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePattern(s)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("the error for %q would spoil a terminal: %q", s, err)
			}
			return
		}
		again, err := parsePattern(p.String())
		if err != nil || again != p {
			t.Fatalf("%q is %q, which parses as %q, %v", s, p, again, err)
		}
		if p.compare(again) != 0 {
			t.Errorf("%q differs from itself", p)
		}
		if p.prefix.IsValid() && p.prefix != p.prefix.Masked() {
			t.Errorf("%q has host bits set", p)
		}
	})
}

func TestPattern_Parts(t *testing.T) {
	for _, row := range []struct {
		pattern, network, host string
		below                  bool
		port                   uint16
	}{
		{pattern: "10.0.0.1", network: "10.0.0.1/32"},
		{pattern: "10.0.0.0/8", network: "10.0.0.0/8"},
		{pattern: "[2001:db8::1]:443", network: "2001:db8::1/128", port: 443},
		{pattern: "api.example.test:443", host: "api.example.test", port: 443},
		{pattern: "*.example.test", host: "example.test", below: true},
		{pattern: "localhost:80", port: 80},
	} {
		p, err := parsePattern(row.pattern)
		if err != nil {
			t.Fatal(err)
		}
		network, isNetwork := p.Network()
		host, below := p.Host()
		if row.network != "" != isNetwork || isNetwork && network.String() != row.network || host != row.host ||
			below != row.below || p.Port() != row.port {
			t.Errorf("%s: %v %t, %q %t, %d", row.pattern, network, isNetwork, host, below, p.Port())
		}
	}
}
