package docker

import (
	"context"
	"net/netip"
	"slices"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	networks "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// network is one of the engine's networks.
type network struct {
	id, name, driver string
	subnets          []netip.Prefix
	gateways         []netip.Addr
	until            time.Duration // 0: it exists

	wanted, served uint64 // as in record
	busy           bool
}

// network returns the entry of a network by its full ID. The lock is held.
func (w *Watcher) network(id string) *network {
	n := w.networks[id]
	if n == nil {
		n = &network{id: id}
		w.networks[id] = n
	}
	return n
}

// ensureNetwork makes sure that a container's network is known. The lock is held.
func (w *Watcher) know(id, name string) {
	if w.networks[id] == nil && id != "" {
		n := w.network(id)
		n.name = name
		w.inspectNetwork(n)
	}
}

// inspectNetwork queries a network and its containers. The lock is held.
func (w *Watcher) inspectNetwork(n *network) {
	n.wanted++
	if n.busy || w.ctx.Err() != nil {
		return
	}
	n.busy = true
	w.tasks.Go(func() {
		for w.inspectNetworkOnce(n) {
		}
	})
}

func (w *Watcher) inspectNetworkOnce(n *network) bool {
	w.mu.Lock()
	wanted := n.wanted
	w.mu.Unlock()

	asked := Monotonic()
	var answer client.NetworkInspectResult
	err := w.call(w.ctx, "inspect network "+short(n.id), func(ctx context.Context) (err error) {
		answer, err = w.client.NetworkInspect(ctx, n.id, client.NetworkInspectOptions{})
		return err
	})
	answered := Monotonic()

	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		n.learn(answer.Network.Network)
		for id, e := range answer.Network.Containers {
			if r := w.containers[id]; r != nil {
				r.settle(endpoint{network: n.id, name: n.name, id: e.EndpointID, addrs: valid(e.IPv4Address.Addr(), e.IPv6Address.Addr())}, asked, answered)
			}
		}
	}
	// A removed network cannot be queried. If the engine does not answer, the container's inspection reports it.
	n.served = wanted
	n.busy = n.wanted > wanted && w.ctx.Err() == nil && !cerrdefs.IsNotFound(err)
	if !n.busy {
		n.served = n.wanted
	}
	w.notify()
	return n.busy
}

func (n *network) learn(answer networks.Network) {
	n.name, n.driver = answer.Name, answer.Driver
	n.subnets, n.gateways = nil, nil
	for _, c := range answer.IPAM.Config {
		if c.Subnet.IsValid() {
			n.subnets = append(n.subnets, c.Subnet.Masked())
		}
		n.gateways = append(n.gateways, valid(c.Gateway)...)
	}
}

func (w *Watcher) listNetworks(ctx context.Context) error {
	var list client.NetworkListResult
	err := w.call(ctx, "list networks", func(ctx context.Context) (err error) {
		list, err = w.client.NetworkList(ctx, client.NetworkListOptions{})
		return err
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, item := range list.Items {
		w.network(item.ID).learn(item.Network)
	}
	return nil
}

// IsGateway reports whether containers reach this host by an address: whether it is that of a bridge, now or before.
func (w *Watcher) IsGateway(addr netip.Addr) bool {
	addr = addr.Unmap()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range w.networks {
		if n.driver == "bridge" && slices.Contains(w.gateways(id), addr) {
			return true
		}
	}
	return false
}

// GatewayOf returns the addresses by which containers in a network reach this host; none where they do not.
func (w *Watcher) GatewayOf(networkID string) []netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.networks[networkID]; n == nil || n.driver != "bridge" {
		return nil
	}
	return w.gateways(networkID)
}

// gateways returns those that the network has and those that its containers were given. The lock is held.
func (w *Watcher) gateways(id string) []netip.Addr {
	all := slices.Clone(w.networks[id].gateways)
	for _, r := range w.containers {
		for _, a := range r.attachments {
			if a.NetworkID == id {
				all = append(all, a.Gateways...)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// NetworkOf returns the network whose subnet holds an address; of several, one that still exists, then the one with the
// longest prefix.
func (w *Watcher) NetworkOf(addr netip.Addr) (name string, ok bool) {
	addr = addr.Unmap()
	w.mu.Lock()
	defer w.mu.Unlock()
	var best *network
	var bits int
	for _, n := range w.networks {
		for _, subnet := range n.subnets {
			if subnet.Contains(addr) && (best == nil || n.before(subnet.Bits(), best, bits)) {
				best, bits = n, subnet.Bits()
			}
		}
	}
	if best == nil {
		return "", false
	}
	return best.name, true
}

// before reports whether a network, with a subnet of so many bits, is a better answer than another.
func (n *network) before(bits int, other *network, otherBits int) bool {
	switch {
	case (n.until == 0) != (other.until == 0):
		return n.until == 0
	case bits != otherBits:
		return bits > otherBits
	case n.until != other.until:
		return n.until > other.until
	}
	return n.id < other.id
}
