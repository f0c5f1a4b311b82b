package recorder

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/probe"
)

// namedPorts are the ports of names.
type namedPorts map[nameKey][]enforce.PortRange

// nameKey is an [enforce.Name] without its ports.
type nameKey struct {
	host  string
	match enforce.Match
}

func portsByName(all []enforce.Name) namedPorts {
	ports := make(namedPorts, len(all))
	for _, n := range all {
		ports[nameKey{n.Host, n.Match}] = n.Ports
	}
	return ports
}

// missing returns the rules that have to be added to those that the kernel has, so that it decides by the new ones. The
// new ones allow at least as much.
func missing(has, updated probe.Rules) probe.Rules {
	add := probe.Rules{Addresses: make(map[netip.Prefix][]enforce.PortRange)}
	for prefix, ports := range updated.Addresses {
		if before, known := has.Addresses[prefix]; !known || !slices.Equal(before, ports) {
			add.Addresses[prefix] = ports
		}
	}
	for prefix, before := range has.Addresses {
		if _, known := updated.Addresses[prefix]; known {
			continue
		}
		if ports := portsAt(updated.Addresses, prefix); !slices.Equal(before, ports) { // a wider prefix has them now
			add.Addresses[prefix] = ports
		}
	}
	before := portsByName(has.Names)
	for _, n := range updated.Names {
		if ports, known := before[nameKey{n.Host, n.Match}]; !known || !slices.Equal(ports, n.Ports) {
			add.Names = append(add.Names, n)
		}
	}
	return add
}

// portsAt returns the ports of the longest prefix that contains another one.
func portsAt(addresses map[netip.Prefix][]enforce.PortRange, within netip.Prefix) []enforce.PortRange {
	for bits := within.Bits(); bits >= 0; bits-- {
		if ports, known := addresses[netip.PrefixFrom(within.Addr(), bits).Masked()]; known {
			return ports
		}
	}
	return nil
}

// isEmpty reports whether there are no rules.
func isEmpty(r probe.Rules) bool { return len(r.Addresses) == 0 && len(r.Names) == 0 }

// equalRules reports whether rules are the same.
func equalRules(a, b probe.Rules) bool {
	equalNames := func(a, b enforce.Name) bool {
		return a.Host == b.Host && a.Match == b.Match && slices.Equal(a.Ports, b.Ports)
	}
	return maps.EqualFunc(a.Addresses, b.Addresses, slices.Equal) && slices.EqualFunc(a.Names, b.Names, equalNames)
}

// together returns the rules that the kernel has after an addition.
func together(has, added probe.Rules) probe.Rules {
	all := probe.Rules{Addresses: make(map[netip.Prefix][]enforce.PortRange)}
	maps.Copy(all.Addresses, has.Addresses)
	maps.Copy(all.Addresses, added.Addresses)
	names := portsByName(has.Names)
	maps.Copy(names, portsByName(added.Names))
	for key, ports := range names {
		all.Names = append(all.Names, enforce.Name{Host: key.host, Match: key.match, Ports: ports})
	}
	slices.SortFunc(all.Names, func(a, b enforce.Name) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.Match, b.Match))
	})
	return all
}
