package networkpolicy

import (
	"fmt"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Reach implements [policy.Dialect]. The kernel cannot tell hosts and bare addresses apart, so these differ from
// [Dialect.Evaluate]: a single address that is open to listed names is open to every client that knows it, and a listed
// name may have any address. The node counts as pods do.
func (d Dialect) Reach(policies []*networkingv1.NetworkPolicy, subject policy.Workload) (policy.Reach, error) {
	d.Scope = d.Normalized().Indexed()
	isolating := d.applicablePolicies(policies, subject, policy.Egress)
	if len(isolating) == 0 {
		return policy.Unrestricted(), nil
	}
	r := policy.Reaching{Scope: d.Scope}
	var workloads [][]enforce.PortRange
	var names []string
	for _, v := range isolating {
		if err := v.reach(&r); err != nil {
			return policy.Reach{}, err
		}
		workloads = append(workloads, v.workloadPorts())
		names = append(names, v.Name)
	}
	r.AllowLookups()
	table, err := r.Table()
	if err != nil {
		return policy.Reach{}, fmt.Errorf("policy %s: %w", policy.Abbreviate(names, ", "), err)
	}
	reach := policy.Reach{Table: table, Ports: func(e flow.Endpoint) []enforce.PortRange {
		var ports [][]enforce.PortRange
		for _, v := range isolating {
			ports = append(ports, v.portsTo(e))
		}
		return enforce.Join(ports...)
	}}
	reach.Workloads = enforce.Join(workloads...)
	reach.APIServer, reach.Host = reach.Ports(flow.ClusterAPIServer), reach.Workloads
	reach.Workload = reach.Pods
	return reach, nil
}

// reach adds the addresses and names that a policy allows.
func (v applicable) reach(r *policy.Reaching) error {
	for i, rule := range v.rules {
		if len(rule.Peers) == 0 {
			v.reachEverywhere(r, rule)
		}
		for j, peer := range rule.Peers {
			if peer.IPBlock == nil {
				continue
			}
			if err := v.reachBlock(r, peer, rangesOf(rule.Ports, nil), fmt.Sprintf("spec.egress[%d].to[%d]", i, j)); err != nil {
				return err
			}
		}
	}
	return r.AllowLists(v.scope.otherFlows(), v.NetworkPolicy)
}

// reachEverywhere adds a rule without peers.
func (v applicable) reachEverywhere(r *policy.Reaching, rule Rule) {
	for _, port := range elements(rule.Ports) {
		if v.reserves(port, flow.Flow{}) {
			continue
		}
		r.AllowName(enforce.EveryName)
		for _, block := range enforce.Internet() {
			r.Allow(block, rangesOfPort(port, nil))
		}
	}
}

// reachBlock adds a range of addresses at some ports. field is that of its peer.
func (v applicable) reachBlock(
	r *policy.Reaching, peer networkingv1.NetworkPolicyPeer, ports []enforce.PortRange, field string,
) error {
	block, err := blockOf(peer.IPBlock)
	switch {
	case err != nil: // it contains nothing; see Validate
		return nil
	case v.annotated && isInternet(&peer):
		return v.reachNames(r, block, ports, field)
	case v.annotated && block.Prefix.IsSingleIP():
		r.Allow(block, ports)
		return nil
	case isInternet(&peer):
		r.AllowName(enforce.EveryName)
	}
	r.AllowHosts(block, ports)
	return nil
}

// reachNames adds the listed names that a rule for the internet allows at some ports.
func (v applicable) reachNames(r *policy.Reaching, block enforce.Block, ports []enforce.PortRange, field string) error {
	isPublic := func(e netip.Prefix) bool {
		return !slices.ContainsFunc(flow.NotPublic(), func(p netip.Prefix) bool { return policy.ContainsPrefix(p, e) })
	}
	public := slices.IndexFunc(block.Except, isPublic)
	for _, n := range v.names {
		if n.IsLookup() || !enforce.Contains(ports, n.Protocol, n.Port) {
			continue
		}
		if public >= 0 {
			return policy.NotEnforceable(v.NetworkPolicy, fmt.Sprintf("%s.ipBlock.except[%d]", field, public),
				fmt.Sprintf("%s is a part of the internet, and the kernel cannot except it from the addresses of names",
					block.Except[public]),
				"except only private ranges, or leave Enforce out")
		}
		at := []enforce.PortRange{{Protocol: n.Protocol, First: n.Port, Last: n.Port}}
		if err := r.AllowPattern(v.NetworkPolicy, policy.NamesAnnotation, n.Host, at); err != nil {
			return err
		}
	}
	return nil
}

func blockOf(b *networkingv1.IPBlock) (enforce.Block, error) {
	prefix, err := netip.ParsePrefix(b.CIDR)
	block := enforce.Block{Prefix: prefix}
	for _, text := range b.Except {
		if e, err := netip.ParsePrefix(text); err == nil {
			block.Except = append(block.Except, e)
		}
	}
	return block, err
}

// portsTo returns the ports at which a policy allows an endpoint that is neither a host nor an address.
func (v applicable) portsTo(e flow.Endpoint) []enforce.PortRange {
	f := flow.Flow{Destination: e}
	named := v.scope.PortsOf(e)
	var ports [][]enforce.PortRange
	for _, rule := range v.rules {
		for _, peer := range elements(rule.Peers) {
			switch {
			case peer == nil:
				ports = append(ports, v.everywherePorts(rule, f, named))
			case v.matchPeer(peer, f) == policy.PeerMatches:
				ports = append(ports, rangesOf(rule.Ports, named))
			}
		}
	}
	return enforce.Join(
		policy.AcceptedAt(e, enforce.Join(ports...)),
		policy.ListedPorts(v.scope.otherFlows(), v.NetworkPolicy, v.subject, e),
	)
}

// everywherePorts returns the ports at which a rule without peers allows a flow to any port.
func (v applicable) everywherePorts(rule Rule, f flow.Flow, named []policy.Port) []enforce.PortRange {
	var ports []enforce.PortRange
	for _, port := range elements(rule.Ports) {
		if !v.reserves(port, f) {
			ports = append(ports, rangesOfPort(port, named)...)
		}
	}
	return ports
}

// workloadPorts returns the ports at which a policy allows any workload.
func (v applicable) workloadPorts() []enforce.PortRange {
	named := v.scope.AllPorts()
	ports := [][]enforce.PortRange{policy.ListedWorkloadPorts(v.scope.otherFlows(), v.NetworkPolicy)}
	for _, rule := range v.rules {
		isPods := func(p networkingv1.NetworkPolicyPeer) bool { return p.IPBlock == nil }
		if len(rule.Peers) == 0 || slices.ContainsFunc(rule.Peers, isPods) {
			ports = append(ports, rangesOf(rule.Ports, named))
		}
	}
	return enforce.Join(ports...)
}

// rangesOf returns the ports of a rule; named are the ports that have a name.
func rangesOf(ports []networkingv1.NetworkPolicyPort, named []policy.Port) []enforce.PortRange {
	var ranges []enforce.PortRange
	for _, port := range elements(ports) {
		ranges = append(ranges, rangesOfPort(port, named)...)
	}
	return enforce.Join(ranges)
}

// rangesOfPort is rangesOf for one port; nil is every port.
func rangesOfPort(port *networkingv1.NetworkPolicyPort, named []policy.Port) []enforce.PortRange {
	if port == nil {
		return policy.WithPorts()
	}
	protocol := portProtocol(port)
	first, last := int32(1), int32(65535)
	switch {
	case protocol == enforce.AnyProtocol: // of no known name; see Validate
		return nil
	case port.Port == nil:
	case port.Port.Type == intstr.String:
		return policy.NamedRanges(named, port.Port.StrVal, func(p flow.Protocol) bool { return p == protocol })
	case port.EndPort != nil:
		first, last = max(first, port.Port.IntVal), min(last, *port.EndPort)
	default:
		first, last = max(first, port.Port.IntVal), min(last, port.Port.IntVal)
	}
	if first > last {
		return nil
	}
	return []enforce.PortRange{{Protocol: protocol, First: uint16(first), Last: uint16(last)}}
}
