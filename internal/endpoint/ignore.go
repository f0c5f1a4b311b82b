package endpoint

import "fmt"

// Ignore is a set of destinations that the user excludes from the policy.
type Ignore struct{ Pattern }

// ParseIgnore parses one address of the option Ignore: host:port, an IP address, a CIDR or a DNS name, each with or
// without a port. "*.example.com" matches every name with one or more labels before ".example.com".
func ParseIgnore(address string) (Ignore, error) {
	p, err := parsePattern(address)
	if err != nil {
		return Ignore{}, fmt.Errorf("parse Ignore(%q): address %w", address, err)
	}
	return Ignore{p}, nil
}

// IsNameWithPort reports whether the set is a single name with a port.
func (i Ignore) IsNameWithPort() bool { return i.kind == onName && i.port != 0 }
