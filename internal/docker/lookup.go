package docker

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// lease is the time during which a container had an address, or a port of the host.
type lease struct {
	record      *record
	network     string // its ID; "" for a port
	port        uint16
	from, until time.Duration
}

// OwnerAt returns the container that had an address at a time. networks are the IDs of the networks of the container
// that connects; nil means that the host connects. If the subnets of two networks overlap, networks decides. If that
// leaves several containers, OwnerAt returns none.
func (w *Watcher) OwnerAt(addr netip.Addr, networks []string, at time.Duration) (Container, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return one(latest(w.addressed(addr, networks, at)))
}

// OwnerNear returns the likely container for a connection attempt at a time when no container had the address: the
// last owner before, otherwise the first one after. Docker's addresses change with each run, so the bare address
// identifies nothing.
func (w *Watcher) OwnerNear(addr netip.Addr, networks []string, at time.Duration) (Container, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return one(nearest(w.addressed(addr, networks, anyTime), at))
}

// PublisherAt returns the container that had published a port of the host at a time, and the container's port. The
// caller guarantees that the address is one of this machine's.
func (w *Watcher) PublisherAt(addr netip.AddrPort, p flow.Protocol, at time.Duration) (Container, uint16, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return onePort(latest(w.published(addr, p, at)))
}

// PublisherNear is OwnerNear for published ports.
func (w *Watcher) PublisherNear(addr netip.AddrPort, p flow.Protocol, at time.Duration) (Container, uint16, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return onePort(nearest(w.published(addr, p, anyTime), at))
}

// anyTime stands for all times.
const anyTime time.Duration = -1

func (c lease) holds(at time.Duration) bool { return at == anyTime || within(at, c.from, c.until) }

func (w *Watcher) addressed(addr netip.Addr, networks []string, at time.Duration) []lease {
	addr = addr.Unmap()
	var all, near []lease
	for _, r := range w.containers {
		for _, a := range r.attachments {
			c := lease{record: r, network: a.NetworkID, from: a.From, until: a.Until}
			if c.holds(at) && slices.Contains(a.Addrs, addr) {
				all = append(all, c)
				if slices.Contains(networks, a.NetworkID) {
					near = append(near, c)
				}
			}
		}
	}
	if len(near) > 0 {
		return near
	}
	return all
}

func (w *Watcher) published(addr netip.AddrPort, protocol flow.Protocol, at time.Duration) []lease {
	host := addr.Addr().Unmap().WithZone("")
	if host.IsUnspecified() { // connecting to it reaches the loopback address of its family
		host = loopback(host)
	}
	var exact, wild []lease
	for _, r := range w.containers {
		for _, p := range r.Published {
			c := lease{record: r, port: p.Port, from: p.From, until: p.Until}
			if p.HostPort != addr.Port() || p.Protocol != protocol || !c.holds(at) {
				continue
			}
			switch {
			case p.Host == host:
				exact = append(exact, c)
			case p.Host.IsUnspecified() && p.Host.Is4() == host.Is4():
				wild = append(wild, c)
			}
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return wild
}

func loopback(unspecified netip.Addr) netip.Addr {
	if unspecified.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

// latest returns the last lease in each network. Docker reassigns an address before it reports that the last owner
// left, so the newest owner has it.
func latest(leases []lease) []lease {
	last := make(map[string]lease)
	for _, c := range leases {
		if l, ok := last[c.network]; !ok || c.from > l.from {
			last[c.network] = c
		}
	}
	return slices.Collect(maps.Values(last))
}

// nearest returns, in each network, the lease with the last start before a time, otherwise with the first one after it.
func nearest(leases []lease, at time.Duration) []lease {
	best := make(map[string]lease)
	for _, c := range leases {
		b, ok := best[c.network]
		switch past := c.from <= at; {
		case !ok,
			past && (b.from > at || c.from > b.from),
			!past && c.from < b.from:
			best[c.network] = c
		}
	}
	return slices.Collect(maps.Values(best))
}

// one returns the container of all leases, if it is the same.
func one(leases []lease) (Container, bool) {
	c, _, ok := onePort(leases)
	return c, ok
}

func onePort(leases []lease) (Container, uint16, bool) {
	if len(leases) == 0 {
		return Container{}, 0, false
	}
	for _, c := range leases[1:] {
		if c.record != leases[0].record || c.port != leases[0].port {
			return Container{}, 0, false
		}
	}
	return leases[0].record.container(), leases[0].port, true
}

// NetworkOwner returns the full ID of the container that owns a container's network, followed through other known
// containers; usually the container itself.
func (w *Watcher) NetworkOwner(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for seen := map[string]bool{id: true}; ; {
		other, ok := w.shares(id)
		if !ok || w.containers[other] == nil || seen[other] {
			return id
		}
		id = other
		seen[id] = true
	}
}

// shares returns the full ID of the container with the network that a container uses (network_mode: container:x). The
// mode contains the other container's ID, a part of it, or its name.
func (w *Watcher) shares(id string) (string, bool) {
	r := w.containers[id]
	if r == nil {
		return "", false
	}
	named, ok := strings.CutPrefix(r.NetworkMode, "container:")
	if !ok || named == "" {
		return "", false
	}
	if w.containers[named] != nil {
		return named, true
	}
	var found []string
	for other, o := range w.containers {
		if o.Name == named && other != id {
			return other, true
		}
		if strings.HasPrefix(other, named) {
			found = append(found, other)
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// OnHostNetwork reports whether a container uses the host's network, directly or through another container.
func (w *Watcher) OnHostNetwork(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range len(w.containers) { // no chain is longer
		r := w.containers[id]
		if r == nil {
			return false
		}
		if r.NetworkMode == "host" {
			return true
		}
		other, ok := w.shares(id)
		if !ok {
			return false
		}
		id = other
	}
	return false
}
