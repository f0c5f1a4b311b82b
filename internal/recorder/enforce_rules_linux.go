package recorder

import (
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// ruleSet collects what one workload may reach: what its table says, and what is always allowed.
type ruleSet struct {
	table   enforce.Table
	builder enforce.Builder
}

func newRuleSet(t enforce.Table) *ruleSet {
	r := &ruleSet{table: t}
	r.builder.AllowTable(t)
	return r
}

// rules returns the rules for the kernel.
func (r *ruleSet) rules() (probe.Rules, error) {
	t, err := r.builder.Table()
	return probe.Rules{Addresses: t.Addresses, Names: t.Names}, err
}

// allow adds ports of a range of addresses.
func (r *ruleSet) allow(p netip.Prefix, ports []enforce.PortRange) {
	if p.IsValid() {
		r.builder.Allow(enforce.Block{Prefix: p.Masked()}, ports)
	}
}

// allowAddrs adds ports of addresses.
func (r *ruleSet) allowAddrs(ports []enforce.PortRange, addrs ...netip.Addr) {
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		r.allow(netip.PrefixFrom(a, a.BitLen()), ports)
	}
}

// allowHosts adds ports of hosts, by their names.
func (r *ruleSet) allowHosts(ports []enforce.PortRange, hosts ...string) {
	for _, host := range hosts {
		if len(ports) > 0 {
			r.builder.AllowName(enforce.Name{Host: host, Ports: ports})
		}
	}
}

// loopback are the addresses of a workload itself on every machine. Linux connects the unspecified ones to loopback.
var loopback = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("0.0.0.0/32"), netip.MustParsePrefix("::/128"),
}

// allowSelf adds the addresses of the workload itself.
func (r *ruleSet) allowSelf(own []netip.Addr) {
	for _, p := range loopback {
		r.allow(p, enforce.Everything())
	}
	r.allowAddrs(enforce.Everything(), own...)
}

// allowResolvers adds name servers.
func (r *ruleSet) allowResolvers(resolvers ...netip.Addr) {
	const dnsPort = 53
	r.allowAddrs(onePort(dnsPort, flow.TCP, flow.UDP), resolvers...)
}

// allowAPIServer adds the cluster's API server, by its names and at the address in an environment.
func (r *ruleSet) allowAPIServer(environment, clusterDomains []string) {
	if at := endpoint.APIServerIn(environment); at.IsValid() {
		r.allowAddrs(dialled(r.table.APIServer, at.Port(), 0), at.Addr())
	}
	service := flow.ClusterAPIServer
	r.allowHosts(r.table.APIServer, endpoint.ServiceNames(service.Name, service.Namespace, clusterDomains...)...)
}

// workload returns the ports of a workload.
func (r *ruleSet) workload(name, namespace string) []enforce.PortRange {
	if r.table.Workload == nil {
		return nil
	}
	return r.table.Workload(name, namespace)
}

// allowOptions adds what the options of a recording name: workloads, Peers, and ignored destinations.
func (r *ruleSet) allowOptions(o Options, id *endpoint.Identifier, clusterDomains []string) {
	if o.Enforcement != nil {
		for _, n := range o.Enforcement.Names {
			r.allowName(n, o.Namespace, clusterDomains)
		}
	}
	for _, peer := range o.Peers {
		stands := id.OfPeer(peer, netip.Addr{})
		if stands.Kind == flow.External {
			if e, inCluster := o.ClusterName(stands.Name); inCluster {
				stands = e
			}
		}
		if stands.Kind == flow.Workload {
			r.allowName(WorkloadName{stands.Name, stands.Name, stands.Namespace}, o.Namespace, clusterDomains)
		}
		r.allowPeer(peer, stands)
	}
	r.allowIgnored(o.Ignored)
}

// allowName adds the forms of a workload's DNS name. The bare name stands for a workload in the caller's namespace.
func (r *ruleSet) allowName(n WorkloadName, callerNamespace string, clusterDomains []string) {
	forms := []string{n.DNS}
	if !strings.Contains(n.DNS, ".") {
		forms = endpoint.ServiceNames(n.DNS, n.Namespace, clusterDomains...)
	}
	if len(forms) > 1 && callerNamespace != "" && n.Namespace != callerNamespace {
		forms = forms[1:]
	}
	r.allowHosts(r.workload(n.Workload, n.Namespace), forms...)
}

// allowPeer adds the address of a Peer, with the ports of what the Peer stands for.
func (r *ruleSet) allowPeer(peer endpoint.Peer, stands flow.Endpoint) {
	var ports []enforce.PortRange
	switch stands.Kind {
	case flow.APIServer:
		ports = r.table.APIServer
	case flow.Workload:
		ports = r.workload(stands.Name, stands.Namespace)
	case flow.External:
		ports = r.builder.PortsOf(stands.Name)
	}
	ports = dialled(ports, peer.Port(), peer.PodPort)
	if network, ok := peer.Network(); ok {
		r.allow(network, ports)
	}
	if host, _ := peer.Host(); host != "" {
		r.allowHosts(ports, host)
	}
}

// allowIgnored adds destinations that the user excluded from the policy.
func (r *ruleSet) allowIgnored(ignored endpoint.Ignored) {
	for _, d := range ignored.Destinations {
		ports := enforce.Everything()
		if d.Port() != 0 {
			ports = onePort(d.Port(), protocolsWithPorts...)
		}
		if network, ok := d.Network(); ok {
			r.allow(network, ports)
		}
		switch host, below := d.Host(); {
		case below:
			r.builder.AllowName(enforce.Name{Host: host, Match: enforce.AnyLabels, Ports: ports})
		case host != "":
			r.allowHosts(ports, host)
		}
	}
}

// complete adds what the names so far stand for: their forms with the domains of a search list, and the addresses that
// a hosts file has for them.
func (r *ruleSet) complete(search []string, hosts map[string][]netip.Addr) {
	r.builder.CompleteNames(search)
	for name, addrs := range hosts {
		r.allowAddrs(r.builder.PortsOf(name), addrs...)
	}
}

// allowTestProcess adds what the test process may always reach.
func (r *ruleSet) allowTestProcess(m machine, clusterDomains []string) {
	r.allowSelf(m.local)
	r.allowResolvers(m.resolvers...)
	for _, host := range m.engineHosts {
		if addr, err := netip.ParseAddr(host); err == nil {
			r.allowAddrs(enforce.Everything(), addr)
		} else {
			r.allowHosts(enforce.Everything(), host)
		}
	}
	r.allowAddrs(enforce.Everything(), m.gateways()...)
	r.allowNetworks(m)
	r.allowAPIServer(os.Environ(), clusterDomains)
}

// allowNetworks adds the addresses of all containers, at the ports of rules for any workload. Which one it is is judged
// when the test ends.
func (r *ruleSet) allowNetworks(m machine) {
	for _, n := range m.networks {
		for _, subnet := range n.Subnets {
			r.allow(subnet, r.table.Workloads)
		}
	}
}

// allowContainer adds what a container may always reach. Which container serves a published port is judged when the
// test ends.
func (r *ruleSet) allowContainer(c newContainer, m machine, clusterDomains []string) {
	r.allowSelf(m.addrsOf(c.pod))
	if c.onHost {
		r.allowSelf(m.local)
		r.allowNetworks(m)
	}
	r.allowHosts(enforce.Everything(), docker.DNSNames(c.Container)...)
	r.allowResolvers(m.resolvers...)
	r.allowResolvers(c.Resolvers...)
	ports := r.table.Host
	if len(r.table.Workloads) > 0 {
		ports = enforce.Everything()
	}
	r.allowAddrs(ports, slices.Concat(m.local, m.gateways(), m.hostAccess())...)
	r.allowAPIServer(c.APIServer, clusterDomains)
}
