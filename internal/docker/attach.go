package docker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	networks "github.com/moby/moby/api/types/network"
)

// endpoint is a container's place in a network, from an answer of the engine.
type endpoint struct {
	network, name, id string
	addrs             []netip.Addr
	aliases           []string
}

func endpointOf(name string, s *networks.EndpointSettings) endpoint {
	return endpoint{
		network: s.NetworkID, name: name, id: s.EndpointID, aliases: s.Aliases,
		addrs: valid(s.IPAddress, s.GlobalIPv6Address),
	}
}

func valid(addrs ...netip.Addr) []netip.Addr {
	var all []netip.Addr
	for _, a := range addrs {
		if a.IsValid() && !a.IsUnspecified() {
			all = append(all, a.Unmap())
		}
	}
	return all
}

// attach records an endpoint from an answer to a query between two times, and returns its attachment. A restarted
// container has another endpoint, so a late answer is not mistaken for the new one.
func (r *record) attach(e endpoint, asked, answered time.Duration) *attachment {
	if e.id == "" {
		return nil // it is not running
	}
	var mine *attachment
	for _, a := range r.attachments {
		switch {
		case a.NetworkID != e.network:
		case a.endpoint == e.id:
			mine = a
		case a.endpoint == "" && a.From <= answered && (a.Until == 0 || asked < a.Until) &&
			(mine == nil || mine.endpoint != e.id):
			mine = a
		}
	}
	if mine == nil {
		mine = &attachment{Attachment: Attachment{Network: e.name, NetworkID: e.network}}
		if r.IsNew {
			mine.From = answered // its event has not arrived yet
		}
		r.attachments = append(r.attachments, mine)
	}
	mine.endpoint, mine.Network = e.id, cmp.Or(mine.Network, e.name)
	if len(e.addrs) > 0 {
		mine.Addrs = e.addrs
	}
	if len(e.aliases) > 0 {
		mine.Aliases = e.aliases
	}
	return mine
}

// publish records the published ports of a start, from the same answer as these attachments.
func (r *record) publish(ports []Port, with []*attachment, asked time.Duration) {
	if len(with) == 0 {
		return // not running, or without a network: the answer has no ports
	}
	from, until := with[0].From, with[0].Until
	for _, a := range with[1:] {
		from = min(from, a.From)
		if until != 0 && (a.Until == 0 || a.Until > until) {
			until = a.Until
		}
	}
	if until == 0 {
		for i := range r.Published {
			p := &r.Published[i]
			if p.Until == 0 && !slices.ContainsFunc(ports, p.same) {
				p.Until = asked
			}
		}
	}
	for _, p := range ports {
		if slices.ContainsFunc(r.Published, func(q Port) bool {
			return q.same(p) && (q.Until == 0 || q.From == from)
		}) {
			continue
		}
		p.From, p.Until = from, until
		r.Published = append(r.Published, p)
	}
}

func (p Port) same(q Port) bool {
	p.From, p.Until, q.From, q.Until = 0, 0, 0, 0
	return p == q
}

// orderPorts sets the start of ports from an answer to that of their attachment.
func (r *record) orderPorts() {
	var first time.Duration
	for _, a := range r.attachments {
		if a.Until == 0 && (first == 0 || a.From < first) {
			first = a.From
		}
	}
	for i := range r.Published {
		if p := &r.Published[i]; p.Until == 0 && r.IsNew {
			p.From = min(p.From, first)
		}
	}
}
