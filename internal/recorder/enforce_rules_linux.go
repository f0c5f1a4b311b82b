package recorder

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const dnsPort = 53

// ruleSet collects what one workload may reach: what its table says, and what every workload may reach.
type ruleSet struct {
	table enforce.Table
	added prefixes
	names names
}

func newRuleSet(t enforce.Table) *ruleSet {
	r := &ruleSet{table: t, added: make(prefixes), names: make(names)}
	for _, name := range t.Names {
		r.names.allow(name)
	}
	return r
}

// allow adds ports of a range of addresses.
func (r *ruleSet) allow(p netip.Prefix, ports []enforce.PortRange) {
	if len(ports) == 0 || !p.IsValid() {
		return
	}
	p = p.Masked()
	r.added[p] = unite(r.added[p], ports)
}

// allowAddrs adds ports of addresses.
func (r *ruleSet) allowAddrs(ports []enforce.PortRange, addrs ...netip.Addr) {
	for _, a := range addrs {
		a = a.Unmap().WithZone("")
		r.allow(netip.PrefixFrom(a, a.BitLen()), ports)
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
		r.allow(p, everything)
	}
	r.allowAddrs(everything, own...)
}

// allowResolvers adds name servers.
func (r *ruleSet) allowResolvers(resolvers ...netip.Addr) {
	r.allowAddrs(portsOf(dnsPort, dnsPort, flow.TCP, flow.UDP), resolvers...)
}

// allowAPIServer adds the cluster's API server, by its names and at the address in an environment.
func (r *ruleSet) allowAPIServer(environment, clusterDomains []string) {
	if len(r.table.APIServer) == 0 {
		return
	}
	if at := endpoint.APIServerIn(environment); at.IsValid() {
		r.allowAddrs(dialled(r.table.APIServer, at.Port(), 0), at.Addr())
	}
	service := flow.ClusterAPIServer
	r.names.allowExact(r.table.APIServer, endpoint.ServiceNames(service.Name, service.Namespace, clusterDomains...)...)
}

// allowWorkload adds the names of a workload if the table allows it at any port.
func (r *ruleSet) allowWorkload(workload, namespace string, names ...string) {
	if ports := r.workload(workload, namespace); len(ports) > 0 {
		r.names.allowExact(ports, names...)
	}
}

// workload returns the ports of a workload.
func (r *ruleSet) workload(name, namespace string) []enforce.PortRange {
	if r.table.Workload == nil {
		return nil
	}
	return r.table.Workload(name, namespace)
}

// allowNames adds the names that the recording has for workloads. A bare name stands for one in the caller's namespace.
func (r *ruleSet) allowNames(all []WorkloadName, callerNamespace string, clusterDomains []string) {
	for _, n := range all {
		forms := []string{n.DNS}
		if !strings.Contains(n.DNS, ".") {
			forms = endpoint.ServiceNames(n.DNS, n.Namespace, clusterDomains...)
		}
		if len(forms) > 1 && callerNamespace != "" && n.Namespace != callerNamespace {
			forms = forms[1:]
		}
		r.allowWorkload(n.Workload, n.Namespace, forms...)
	}
}

// allowPeer adds the address of a Peer, with the ports of what the peer stands for.
func (r *ruleSet) allowPeer(peer endpoint.Peer, stands flow.Endpoint) {
	var ports []enforce.PortRange
	switch stands.Kind {
	case flow.APIServer:
		ports = r.table.APIServer
	case flow.Workload:
		ports = r.workload(stands.Name, stands.Namespace)
	case flow.External:
		ports, _ = r.names.at(stands.Name)
	}
	if ports = dialled(ports, peer.Port(), peer.PodPort); len(ports) == 0 {
		return
	}
	if network, ok := peer.Network(); ok {
		r.allow(network, ports)
	}
	if host, _ := peer.Host(); host != "" {
		r.names.allowExact(ports, host)
	}
}

// allowIgnored adds destinations that the user excluded from the policy.
func (r *ruleSet) allowIgnored(ignored endpoint.Ignored) {
	for _, d := range ignored.Destinations {
		ports := everything
		if d.Port() != 0 {
			ports = portsOf(d.Port(), d.Port(), flow.TCP, flow.UDP, flow.SCTP)
		}
		if network, ok := d.Network(); ok {
			r.allow(network, ports)
		}
		switch host, below := d.Host(); {
		case below:
			r.names.allow(enforce.Name{Host: host, Match: enforce.AnyLabels, Ports: ports})
		case host != "":
			r.names.allowExact(ports, host)
		}
	}
}

// allowHosts adds the addresses that a hosts file has for allowed names.
func (r *ruleSet) allowHosts(hosts map[string][]netip.Addr) {
	for name, addrs := range hosts {
		if ports, known := r.names.at(name); known {
			r.allowAddrs(ports, addrs...)
		}
	}
}

// rules returns the rules for the kernel.
func (r *ruleSet) rules() (probe.Rules, error) {
	rules := probe.Rules{Addresses: prefixes(r.table.Addresses).with(r.added), Names: r.names.sorted()}
	return rules, checkPorts(rules)
}

// checkPorts returns an error if the kernel cannot hold all ports of an address or a name.
func checkPorts(rules probe.Rules) error {
	var wrong []string
	for prefix, ports := range rules.Addresses {
		if len(ports) > enforce.MaxPorts {
			wrong = append(wrong, prefix.String())
		}
	}
	for _, name := range rules.Names {
		if len(name.Ports) > enforce.MaxPorts {
			wrong = append(wrong, name.Host)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("more than %d ranges of ports are allowed at %s: write fewer ranges, or leave Enforce out",
		enforce.MaxPorts, strings.Join(wrong, ", "))
}

// missingFrom returns what is in the new rules and not in the old ones.
func missingFrom(old, updated probe.Rules) probe.Rules {
	missing := probe.Rules{Addresses: make(map[netip.Prefix][]enforce.PortRange)}
	for prefix, ports := range updated.Addresses {
		if before, known := old.Addresses[prefix]; !known || !slices.Equal(before, ports) {
			missing.Addresses[prefix] = ports
		}
	}
	before := make(names)
	for _, name := range old.Names {
		before[nameSet{name.Host, name.Match}] = name.Ports
	}
	for _, name := range updated.Names {
		if ports, known := before[nameSet{name.Host, name.Match}]; !known || !slices.Equal(ports, name.Ports) {
			missing.Names = append(missing.Names, name)
		}
	}
	return missing
}
