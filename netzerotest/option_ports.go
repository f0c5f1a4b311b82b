package netzerotest

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Ports sets ports of a workload that its container does not expose. These are a range from which each run uses
// different ports, such as those of passive FTP, RMI or media, or a fixed port in the ephemeral range:
//
//	netzerotest.Ports("ftp:30000-30009", "media:10000-10999/UDP", "orders:50051")
//
// A port is workload:port or workload:first-last. Add the namespace if several have the workload
// (ftp.shop:30000-30009), and /UDP or /SCTP if the protocol is not TCP. A flow to a port of a range is written with the
// whole range (endPort), in the caller's egress and the server's ingress. The comparison uses the port itself.
//
// Without it, a flow to a port that may differ in the next run fails the test, unless the committed policy allows it,
// and an update never writes it. Such a port lies in the ephemeral range (net.ipv4.ip_local_port_range of the server's
// network namespace), and neither the container (EXPOSE, WithExposedPorts) nor [Manifests] nor [Peer] names it.
//
// Errors: a port that cannot be parsed, a range that ends before it begins, and two overlapping ranges of one workload.
func Ports(ports ...string) Option {
	return optionFunc(func(c *config) error {
		if len(ports) == 0 {
			return errors.New(`Ports: no port: give one, such as "ftp:30000-30009"`)
		}
		var errs []error
		for _, text := range ports {
			r, err := parsePorts(text)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			known := false
			for _, other := range c.ranges {
				known = known || other == r
				if other != r && other.Overlaps(r) {
					errs = append(errs, fmt.Errorf("Ports(%q): overlaps %q: write one range that holds both", text, other))
				}
			}
			if !known {
				c.ranges = append(c.ranges, r)
			}
		}
		return errors.Join(errs...)
	})
}

// parsePorts parses values such as "ftp:30000-30009", "media.shop:10000-10999/UDP" and "orders:50051".
func parsePorts(text string) (policy.PortRange, error) {
	fail := func(format string, args ...any) (policy.PortRange, error) {
		return policy.PortRange{}, fmt.Errorf("Ports(%q): %w", text, fmt.Errorf(format, args...))
	}
	name, rest, found := strings.Cut(text, ":")
	if !found {
		example := cmp.Or(text, "ftp") + ":30000-30009"
		return fail("has no port: write workload:port or workload:first-last, such as %q", example)
	}
	if err := checkWorkloadName("Ports", name); err != nil {
		return policy.PortRange{}, errors.New(strings.TrimPrefix(err.Error(), "netzero: "))
	}
	r := policy.PortRange{Protocol: flow.TCP}
	r.Name, r.Namespace = endpoint.SplitName(name)
	numbers, protocol, named := strings.Cut(rest, "/")
	if named {
		r.Protocol = 0
		for _, p := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
			if strings.EqualFold(protocol, p.String()) {
				r.Protocol = p
			}
		}
		if r.Protocol == 0 {
			return fail("protocol %q is none of TCP, UDP and SCTP", protocol)
		}
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

// fixes reports whether the option Ports names the port of a flow.
func (c config) fixes(f Flow) bool {
	for _, r := range c.ranges {
		if r.Has(f) {
			return true
		}
	}
	return false
}
