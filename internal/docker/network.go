package docker

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	networks "github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// Network is one of the engine's networks.
type Network struct {
	ID, Name string
	Subnets  []netip.Prefix
	Gateways []netip.Addr // the addresses of the engine's machine in the network, if it has some
}

// network is a [Network] with the state of its inspection.
type network struct {
	id, name string
	subnets  []netip.Prefix
	gateways []netip.Addr
	removed  bool

	wanted, served uint64 // as in record
	busy           bool
}

// Networks returns the networks that exist, sorted by ID.
func (w *Watcher) Networks() []Network {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Network
	for _, n := range w.networks {
		if !n.removed {
			all = append(all, Network{n.id, n.name, slices.Clone(n.subnets), slices.Clone(n.gateways)})
		}
	}
	slices.SortFunc(all, func(a, b Network) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// describe records the addresses of a network.
func (n *network) describe(ipam networks.IPAM) {
	n.subnets, n.gateways = nil, nil
	for _, c := range ipam.Config {
		if c.Subnet.IsValid() {
			n.subnets = append(n.subnets, c.Subnet.Masked())
		}
		if c.Gateway.IsValid() {
			n.gateways = append(n.gateways, c.Gateway)
		}
	}
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
func (w *Watcher) ensureNetwork(id, name string) {
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

	asked := monotonicNow()
	var answer client.NetworkInspectResult
	err := w.call(w.ctx, "inspect network "+short(n.id), func(ctx context.Context) (err error) {
		answer, err = w.client.NetworkInspect(ctx, n.id, client.NetworkInspectOptions{})
		return err
	})
	answered := monotonicNow()

	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		n.name = answer.Network.Name
		n.describe(answer.Network.IPAM)
		for id, e := range answer.Network.Containers {
			if r := w.containers[id]; r != nil {
				r.attach(endpoint{network: n.id, name: n.name, id: e.EndpointID,
					addrs: valid(e.IPv4Address.Addr(), e.IPv6Address.Addr())}, asked, answered)
			}
		}
	}
	// A removed network cannot be queried. If the engine does not answer, the container's inspection reports it.
	n.served = wanted
	n.busy = n.wanted > wanted && w.ctx.Err() == nil && !cerrdefs.IsNotFound(err)
	if !n.busy {
		n.served = n.wanted
	}
	n.removed = cerrdefs.IsNotFound(err)
	w.networkDescribed()
	w.notify()
	return n.busy
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
		n := w.network(item.ID)
		n.name = item.Name
		n.describe(item.IPAM)
	}
	return nil
}
