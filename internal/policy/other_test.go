package policy

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func raw(to flow.Endpoint) flow.Flow { return toPort(to, 47, 0) }

func icmp(to flow.Endpoint, icmpType uint8) flow.Flow {
	f := ping(to)
	f.ICMPType = icmpType
	return f
}

func TestOtherFlows_PacketKinds(t *testing.T) {
	v6 := toPort(at("2001:db8::9"), flow.ICMPv6, 0)
	query := v6
	query.ICMPType = 139
	for want, f := range map[string]flow.Flow{
		"icmp-echo": ping(at("203.0.113.9")), "icmp-type-13": icmp(at("203.0.113.9"), 13),
		"icmpv6-echo": v6, "icmpv6-type-139": query,
		"ip-47": raw(at("203.0.113.9")), "udplite": toPort(at("203.0.113.9"), flow.UDPLite, 0),
		"udplite:9": toPort(at("203.0.113.9"), flow.UDPLite, 9),
		"tcp:0":     tcp(at("203.0.113.9"), 0), "udp:0": udp(at("203.0.113.9"), 0),
		"sctp:0": toPort(at("203.0.113.9"), flow.SCTP, 0),
	} {
		if got := KindOf(f).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		entry := want + " 203.0.113.9"
		if o, err := ParseOther(Egress, entry); err != nil || o.String() != entry || o.kind != KindOf(f) {
			t.Errorf("%s was read as %s: %v", entry, o, err)
		}
	}
	for n := range 256 { // every number has exactly one kind
		for _, k := range []PacketKind{
			{flow.ICMP, uint16(n)}, {flow.ICMPv6, uint16(n)}, {flow.Protocol(n), 0}, {flow.UDPLite, uint16(n)},
		} {
			if got, known := parseKind(k.String()); !known || got != k {
				t.Errorf("%s was read as %s", k, got)
			}
		}
	}
	for entry, want := range map[string]string{
		"icmp-echo":                      "after icmp-echo",
		"ping 203.0.113.9":               "want a kind of packet",
		"icmp-type-8 203.0.113.9":        "want a kind of packet",
		"icmp-type-256 203.0.113.9":      "want a kind of packet",
		"icmp-type- 203.0.113.9":         "want a kind of packet",
		"icmp-type-08 203.0.113.9":       "want a kind of packet",
		"icmpv6-type-128 203.0.113.9":    "want a kind of packet",
		"icmp-hello 203.0.113.9":         "want a kind of packet",
		"icmp 203.0.113.9":               "want a kind of packet",
		"ip- 203.0.113.9":                "want a kind of packet",
		"ip-256 203.0.113.9":             "want a kind of packet",
		"ip-303 203.0.113.9":             "want a kind of packet",
		"ip-136 203.0.113.9":             "want a kind of packet",
		"udplite:0 203.0.113.9":          "want a kind of packet",
		"udplite: 203.0.113.9":           "want a kind of packet",
		"udplite:65536 203.0.113.9":      "want a kind of packet",
		" 203.0.113.9":                   "want a kind of packet",
		"ip-6 203.0.113.9":               "want a kind of packet",
		"ip-047 203.0.113.9":             "want a kind of packet",
		"tcp:80 203.0.113.9":             "want a kind of packet",
		"udplite:09 203.0.113.9":         "want a kind of packet",
		"ip-47 *":                        "0.0.0.0/0",
		"ip-47 a b.example":              "want an address",
		"ip-47 203.0.113.9/32":           "want ip-47 203.0.113.9",
		"ip-47 203.0.113.9/24":           "want ip-47 203.0.113.0/24",
		"ip-47 ::ffff:203.0.113.9":       "want ip-47 203.0.113.9",
		"ip-47 2001:DB8::1":              "want ip-47 2001:db8::1",
		"ip-47  203.0.113.9":             "want an address",
		"ip-47 2001:0db8:0:0:0:0:0:0/32": "want ip-47 2001:db8::/32",
	} {
		if o, err := ParseOther(Egress, entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q was read as %q: error %v, want one with %q", entry, o, err, want)
		}
	}
}
