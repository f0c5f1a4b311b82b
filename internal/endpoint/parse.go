package endpoint

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// parsePattern parses host:port, an IP address, [IPv6]:port, a CIDR, and a DNS name with or without a leading "*.",
// each with an optional port. An IPv6 CIDR with a port is [2001:db8::/32]:443. Its errors say what is wrong and what to
// write instead; the caller adds the text.
func parsePattern(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, fmt.Errorf("is empty: write host:port, an IP address, a CIDR or a DNS name")
	}
	for i, r := range s {
		switch {
		case unicode.IsSpace(r):
			return Pattern{}, fmt.Errorf("has white space at byte %d: remove it; one address stands alone", i)
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return Pattern{}, fmt.Errorf("has an unprintable character at byte %d: remove it", i)
		}
	}
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		return Pattern{}, urlError(scheme, rest)
	}
	host, port, err := splitPort(s)
	if err != nil {
		return Pattern{}, err
	}
	p, err := parseHost(host)
	if err != nil {
		return Pattern{}, err
	}
	if port == nil {
		return p, nil
	}
	p.port, err = parsePort(*port, host)
	return p, err
}

// urlError suggests what to write instead of a URL.
func urlError(scheme, rest string) error {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if rest == "" {
		return fmt.Errorf("is a URL: drop the scheme and write host:port")
	}
	if known := map[string]string{"http": ":80", "https": ":443"}[scheme]; known != "" {
		if _, port, err := splitPort(rest); err == nil && port == nil {
			rest += known
		}
	}
	return fmt.Errorf("is a URL: drop the scheme and write %q", rest)
}

// splitPort splits off the port, nil if there is none. It removes brackets from a host.
func splitPort(s string) (host string, port *string, err error) {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		host, after, ok := strings.Cut(inner, "]")
		if !ok {
			return "", nil, fmt.Errorf("has '[' without ']': write [IPv6]:port")
		}
		if !strings.Contains(host, ":") {
			return "", nil, fmt.Errorf("has brackets around %q: they are for IPv6 only, write %q", host, host+after)
		}
		if after == "" {
			return host, nil, nil
		}
		if bits, ok := strings.CutPrefix(after, "/"); ok { // [2001:db8::]/32
			bits, port, ok := strings.Cut(bits, ":")
			if ok {
				return host + "/" + bits, &port, nil
			}
			return host + "/" + bits, nil, nil
		}
		if after[0] != ':' {
			return "", nil, fmt.Errorf("has %q after ']': write [IPv6]:port", after)
		}
		after = after[1:]
		return host, &after, nil
	}
	colon := strings.LastIndexByte(s, ':')
	if slash := strings.LastIndexByte(s, '/'); slash >= 0 {
		if colon < slash { // an earlier colon is part of an IPv6 address, or of a port before a path
			return s, nil, nil
		}
	} else if strings.Count(s, ":") > 1 { // IPv6 without brackets has no port
		return s, nil, nil
	}
	if colon < 0 {
		return s, nil, nil
	}
	if colon == 0 {
		return "", nil, fmt.Errorf("has no host before the port: write %q for this machine, or the host's name",
			"localhost"+s)
	}
	after := s[colon+1:]
	return s[:colon], &after, nil
}

func parsePort(s, host string) (uint16, error) {
	if s == "" {
		return 0, fmt.Errorf("has no port after ':': write %q for every port, or add the number", host)
	}
	if strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("has the port %q: service names differ between machines, write the number from 1 to 65535",
			s)
	}
	n, err := strconv.ParseUint(s, 10, 16)
	switch {
	case err != nil:
		return 0, fmt.Errorf("has the port %s: ports go from 1 to 65535", s)
	case n == 0:
		return 0, fmt.Errorf("has the port 0: nothing can be reached there, write %q for every port", host)
	}
	return uint16(n), nil
}

func parseHost(host string) (Pattern, error) {
	if strings.Contains(host, "/") {
		return parseNetwork(host)
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		if strings.Contains(host, ":") {
			return Pattern{}, fmt.Errorf("has %q, which is not an IPv6 address: write host:port with one ':', or "+
				"[IPv6]:port", host)
		}
		return parseName(host)
	}
	if z := a.Zone(); z != "" {
		return Pattern{}, fmt.Errorf("has the zone %q, which means something on one machine only: write %q", z,
			a.WithZone("").String())
	}
	a = a.Unmap()
	if a.IsUnspecified() {
		return Pattern{}, fmt.Errorf("has %s, to which no client connects: write localhost for this "+
			"machine, or %s/0 for everywhere", a, a)
	}
	return Pattern{kind: onAddress, prefix: netip.PrefixFrom(a, a.BitLen())}, nil
}

func parseNetwork(s string) (Pattern, error) {
	base, length, _ := strings.Cut(s, "/")
	a, err := netip.ParseAddr(base)
	if err != nil {
		return Pattern{}, fmt.Errorf("has a path or is a malformed CIDR: write %q, or a CIDR such as 10.1.0.0/16", base)
	}
	if a.Zone() != "" {
		return Pattern{}, fmt.Errorf("has the zone %q in a CIDR: write it without", a.Zone())
	}
	bits, err := strconv.ParseUint(length, 10, 8)
	if err != nil || int(bits) > a.BitLen() || strconv.Itoa(int(bits)) != length {
		return Pattern{}, fmt.Errorf("has the prefix length %q: for %s it is a number from 0 to %d", length, a,
			a.BitLen())
	}
	if a.Is4In6() {
		if bits < 96 {
			return Pattern{}, fmt.Errorf("has an IPv4-mapped CIDR that is wider than IPv4: write 0.0.0.0/0 for all " +
				"of IPv4")
		}
		a, bits = a.Unmap(), bits-96
	}
	p := netip.PrefixFrom(a, int(bits))
	if m := p.Masked(); m != p {
		return Pattern{}, fmt.Errorf("has the CIDR %s with host bits set: write %s for the network, or %s for the "+
			"one address", p, m, a)
	}
	if p.IsSingleIP() {
		return parseHost(a.String())
	}
	return Pattern{kind: onNetwork, prefix: p}, nil
}

// parseName accepts what resolvers accept: RFC 1123 and '_'.
func parseName(host string) (Pattern, error) {
	name := canonicalName(host)
	if name == "localhost" {
		return Pattern{kind: onLoopback}, nil
	}
	kind, labels := onName, name
	if rest, ok := strings.CutPrefix(name, "*"); ok {
		if len(rest) < 2 || rest[0] != '.' {
			return Pattern{}, fmt.Errorf("has %q: a wildcard stands for whole labels at the front, write *.example.com",
				host)
		}
		kind, name, labels = onWildcard, rest, rest[1:]
	}
	if len(labels) > 253 {
		return Pattern{}, fmt.Errorf("has a name of %d bytes: DNS names have at most 253", len(labels))
	}
	last := ""
	for label := range strings.SplitSeq(labels, ".") {
		if err := checkNameLabel(label, host); err != nil {
			return Pattern{}, err
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		return Pattern{}, fmt.Errorf("has %q, which is neither an IP address nor a DNS name: write all of the "+
			"address, without leading zeros", host)
	}
	return Pattern{kind: kind, name: name}, nil
}

func checkNameLabel(label, host string) error {
	switch {
	case label == "":
		return fmt.Errorf("has %q with an empty label: remove the extra '.'", host)
	case len(label) > maxLabel:
		return fmt.Errorf("has a label of %d bytes in %q: DNS labels have at most %d", len(label), host, maxLabel)
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Errorf("has the label %q, which begins or ends with '-': write the DNS name as it is resolved",
			label)
	}
	for _, r := range label {
		switch {
		case r == '*':
			return fmt.Errorf("has '*' within %q: only the front may be a wildcard, as in *.example.com", host)
		case r > 0x7f:
			return fmt.Errorf("has %q in %q: write the name as DNS has it, in its xn-- form", r, host)
		case !labelByte(byte(r)) && r != '-' && r != '_':
			return fmt.Errorf("has %q in %q: a DNS name has letters, digits, '-' and '.'", r, host)
		}
	}
	return nil
}
