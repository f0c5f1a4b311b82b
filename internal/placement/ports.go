package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// AddPorts adds one value of the option Ports to the rules: "ftp:30000-30009", "media.shop:10000-10999/UDP" or
// "orders:50051". Repeating a value changes nothing. It returns an error if the value cannot be parsed, or overlaps
// another range of the workload.
func (o *Options) AddPorts(text string) error {
	r, err := parsePorts(text)
	if err != nil {
		return err
	}
	if slices.Contains(o.Rules.Ranges, r) {
		return nil
	}
	for _, other := range o.Rules.Ranges {
		if other.Overlaps(r) {
			return fmt.Errorf("overlaps %q: write one range that holds both", other)
		}
	}
	o.Rules.Ranges = append(o.Rules.Ranges, r)
	return nil
}

// IsFixedPort reports whether the option Ports names the port of a flow.
func (o Options) IsFixedPort(f flow.Flow) bool {
	return slices.ContainsFunc(o.Rules.Ranges, func(r policy.PortRange) bool { return r.Has(f) })
}

// parsePorts parses workload:port and workload:first-last, with an optional /protocol.
func parsePorts(text string) (policy.PortRange, error) {
	fail := func(format string, args ...any) (policy.PortRange, error) {
		return policy.PortRange{}, fmt.Errorf(format, args...)
	}
	name, rest, found := strings.Cut(text, ":")
	if !found {
		example := cmp.Or(text, "ftp") + ":30000-30009"
		return fail("has no port: write workload:port or workload:first-last, such as %q", example)
	}
	if err := endpoint.CheckName(name); err != nil {
		return policy.PortRange{}, err
	}
	r := policy.PortRange{Protocol: flow.TCP}
	r.Name, r.Namespace = endpoint.SplitName(name)
	numbers, protocol, named := strings.Cut(rest, "/")
	if named {
		protocols := []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP}
		i := slices.IndexFunc(protocols, func(p flow.Protocol) bool { return strings.EqualFold(protocol, p.String()) })
		if i < 0 {
			return fail("protocol %q is none of TCP, UDP and SCTP", protocol)
		}
		r.Protocol = protocols[i]
	}
	first, last, isRange := strings.Cut(numbers, "-")
	if !isRange {
		last = first
	}
	for _, end := range []struct {
		text string
		port *uint16
	}{{first, &r.First}, {last, &r.Last}} {
		n, err := strconv.ParseUint(end.text, 10, 16)
		if err != nil || n == 0 {
			return fail("%q is no port: write a number from 1 to 65535", end.text)
		}
		*end.port = uint16(n)
	}
	if r.Last < r.First {
		return fail("the range ends before it begins: write %d-%d", r.Last, r.First)
	}
	return r, nil
}
