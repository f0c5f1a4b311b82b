package ciliumpolicy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Reach implements [policy.Dialect]. The kernel cannot tell hosts and bare addresses apart, so a single address in a
// policy with names is open to every client that knows it. A rule that denies a part of the internet to names is an
// error.
func (c Dialect) Reach(policies Policies, subject policy.Workload) (policy.Reach, error) {
	c = Dialect{c.Normalized().Indexed()}
	parts, fields := partsWithFields(policies)
	selecting := c.applicablePolicies(parts, subject, policy.Egress)
	x := reaching{
		Reaching:  policy.Reaching{Scope: c.Scope},
		selecting: selecting, fields: fields, isolated: slices.ContainsFunc(selecting, applicable.isolates),
	}
	denies := func(v applicable) bool { return len(v.denials) > 0 }
	if !x.isolated && !slices.ContainsFunc(selecting, denies) {
		return policy.Unrestricted(), nil
	}
	table, err := x.table()
	if err != nil {
		return policy.Reach{}, err
	}
	reach := policy.Reach{Table: table, Ports: x.portsTo}
	reach.Workload = reach.Pods
	reach.APIServer = reach.Ports(flow.ClusterAPIServer)
	reach.Host = enforce.Join(reach.Ports(flow.Endpoint{Kind: flow.Workload, Node: true}), x.listedPorts())
	reach.Workloads = x.workloadPorts()
	return reach, nil
}

// partsWithFields is partsOf. It also returns the field of each part in its policy: "spec" or "specs[0]".
func partsWithFields(policies Policies) (Policies, map[*cilium.NetworkPolicy]string) {
	var parts Policies
	fields := make(map[*cilium.NetworkPolicy]string)
	for _, p := range policies {
		own := cilium.Parts(p)
		for i, part := range own {
			fields[part] = "spec"
			if at := i - (len(own) - len(p.Specs)); at >= 0 && len(p.Specs) > 0 {
				fields[part] = "specs[" + strconv.Itoa(at) + "]"
			}
		}
		parts = append(parts, own...)
	}
	return parts, fields
}

// reaching compiles the egress rules of the policies that select a subject.
type reaching struct {
	policy.Reaching
	selecting []applicable
	fields    map[*cilium.NetworkPolicy]string
	isolated  bool
}

// table returns the addresses and names that the rules allow.
func (x *reaching) table() (enforce.Table, error) {
	var names []string
	for _, v := range x.selecting {
		names = append(names, v.Name)
		if err := x.allowAll(v); err != nil {
			return enforce.Table{}, err
		}
	}
	x.AllowLookups()
	for _, v := range x.selecting {
		for _, rule := range v.denials {
			x.denyOutside(rule)
		}
	}
	named := x.NamedPorts()
	for _, v := range x.selecting {
		for i, rule := range v.denials {
			if err := x.denyCIDRs(v, i, rule, named); err != nil {
				return enforce.Table{}, err
			}
		}
	}
	table, err := x.Table()
	if err != nil {
		err = fmt.Errorf("policy %s: %w", policy.Abbreviate(names, ", "), err)
	}
	return table, err
}

// allowAll adds the rules and lists of a policy, or everything if no policy isolates the subject.
func (x *reaching) allowAll(v applicable) error {
	if !x.isolated {
		for _, block := range enforce.Internet() {
			x.AllowHosts(block, enforce.Everything())
		}
		return nil
	}
	for i, rule := range v.rules {
		if err := x.allow(v, i, rule); err != nil {
			return err
		}
	}
	return x.AllowLists(v.scope.otherFlows(), v.NetworkPolicy)
}

// allow adds the addresses and names of a rule.
func (x *reaching) allow(v applicable, i int, rule Rule) error {
	ports := rangesOf(rule, nil)
	if rule.isEmpty() {
		return nil
	}
	for j, peer := range peersOf(rule) {
		switch {
		case isOutside(peer):
			x.AllowName(enforce.EveryName)
			for _, block := range enforce.Internet() {
				x.AllowHosts(block, ports)
			}
		case peer.cidr != nil:
			x.allowCIDR(v, peer.cidr, ports)
		case peer.name != nil:
			field := fmt.Sprintf("%s.egress[%d].toFQDNs[%d]", x.fields[v.NetworkPolicy], i, j)
			if err := x.allowFQDN(v, *peer.name, ports, field); err != nil {
				return err
			}
		}
	}
	return nil
}

// isOutside reports whether a peer is every host outside of the cluster, whatever its address and name.
func isOutside(peer peerRef) bool {
	return peer == peerRef{} || peer.entity == cilium.All || peer.entity == cilium.World ||
		peer.endpoint != nil && selectsOthers(peer)
}

// peersOf returns the peers of a rule, or one for every peer.
func peersOf(rule Rule) []peerRef {
	if peers := rule.peers(); len(peers) > 0 {
		return peers
	}
	return []peerRef{{}}
}

func (x *reaching) allowCIDR(v applicable, r *cilium.CIDRRule, ports []enforce.PortRange) {
	block, err := blockOf(r)
	switch {
	case err != nil: // it contains nothing; see cilium.Validate
	case v.named && block.Prefix.IsSingleIP():
		x.Allow(block, ports)
	default:
		x.AllowHosts(block, ports)
	}
	if err == nil && block.Prefix.Bits() == 0 {
		x.AllowName(enforce.EveryName)
	}
}

func blockOf(r *cilium.CIDRRule) (enforce.Block, error) {
	prefix, err := netip.ParsePrefix(r.CIDR)
	block := enforce.Block{Prefix: prefix}
	for _, text := range r.Except {
		if e, err := netip.ParsePrefix(text); err == nil {
			block.Except = append(block.Except, e)
		}
	}
	return block, err
}

// allowFQDN adds a name at some ports. Only a name whose lookup Cilium may read has addresses.
func (x *reaching) allowFQDN(v applicable, n cilium.FQDN, ports []enforce.PortRange, field string) error {
	name, ok := nameOf(n)
	if !ok {
		return policy.PatternNotEnforceable(v.NetworkPolicy, field+".matchPattern", n.MatchPattern)
	}
	x.AllowName(name)
	for _, lookup := range v.lookups {
		read, ok := nameOf(lookup)
		if !ok && name.Match == enforce.Exact {
			if read, ok = name, true; !lookup.Matches(name.Host) {
				continue
			}
		}
		if !ok {
			return policy.NotEnforceable(v.NetworkPolicy, field,
				fmt.Sprintf("a DNS rule lets Cilium read only the lookups of %q, which the kernel cannot compare with %q",
					lookup.MatchPattern, n),
				`write matchPattern: "*" in the DNS rule, or leave Enforce out`)
		}
		if common, some := intersection(name, read); some {
			common.Ports = ports
			x.AllowName(common)
		}
	}
	return nil
}

// nameOf returns the name, or the pattern, without ports. It returns false for a pattern with an asterisk inside of a
// label.
func nameOf(n cilium.FQDN) (enforce.Name, bool) {
	text := strings.TrimSuffix(strings.ToLower(n.String()), ".")
	if n.MatchName != "" {
		return enforce.Name{Host: text}, true
	}
	stars := len(text) - len(strings.TrimLeft(text, "*"))
	rest := text[stars:]
	name := enforce.Name{Host: strings.TrimPrefix(rest, ".")}
	switch {
	case rest == "" && stars > 0:
		return enforce.EveryName, true
	case stars == 0:
	case !strings.HasPrefix(rest, "."):
		return enforce.Name{}, false
	case stars == 1:
		name.Match = enforce.OneLabel
	default:
		name.Match = enforce.AnyLabels
	}
	return name, !strings.Contains(name.Host, "*")
}

// intersection returns the names that two names stand for both, or false if there are none.
func intersection(a, b enforce.Name) (enforce.Name, bool) {
	if len(a.Host) < len(b.Host) || len(a.Host) == len(b.Host) && a.Match > b.Match {
		a, b = b, a // now a is within b, or they have nothing in common
	}
	switch {
	case a.Host == b.Host:
		return a, a.Match == b.Match || a.Match != enforce.Exact
	case b.Match == enforce.Exact, b.Host != "" && !strings.HasSuffix(a.Host, "."+b.Host):
		return enforce.Name{}, false
	case b.Match == enforce.AnyLabels:
		return a, true
	}
	label := strings.TrimSuffix(a.Host, "."+b.Host)
	return a, a.Match == enforce.Exact && !strings.Contains(label, ".")
}

// denyOutside removes what a rule denies for all hosts.
func (x *reaching) denyOutside(rule Rule) {
	if rule.isEmpty() || !slices.ContainsFunc(peersOf(rule), isOutside) {
		return
	}
	ports := rangesOf(rule, nil)
	for _, block := range enforce.Internet() {
		x.Deny(block, ports)
	}
	x.DenyNames(ports)
}

// denyCIDRs removes the ranges of addresses that a rule denies. named are the ports of all names.
func (x *reaching) denyCIDRs(v applicable, i int, rule Rule, named []enforce.PortRange) error {
	ports := rangesOf(rule, nil)
	for _, r := range rule.ranges() {
		block, err := blockOf(&r)
		if err != nil {
			continue // it contains nothing; see cilium.Validate
		}
		if len(enforce.Intersect(named, ports)) > 0 {
			return policy.NotEnforceable(v.NetworkPolicy, fmt.Sprintf("%s.egressDeny[%d]", x.fields[v.NetworkPolicy], i),
				fmt.Sprintf("it denies %s, which the kernel cannot except from the addresses of the names in toFQDNs", r.CIDR),
				"deny other ports than those of the names, or leave Enforce out")
		}
		x.Deny(block, ports)
	}
	return nil
}

// portsTo implements [policy.Reach].Ports.
func (x *reaching) portsTo(e flow.Endpoint) []enforce.PortRange {
	var allowed, denied [][]enforce.PortRange
	if !x.isolated {
		allowed = append(allowed, enforce.Everything())
	}
	for _, v := range x.selecting {
		allowed = append(allowed, v.portsTo(v.rules, e))
		if x.isolated {
			allowed = append(allowed, policy.ListedPorts(v.scope.otherFlows(), v.NetworkPolicy, v.subject, e))
		}
		denied = append(denied, v.portsTo(v.denials, e))
	}
	return enforce.Subtract(enforce.Join(allowed...), enforce.Join(denied...))
}

// portsTo returns the ports at which some of a policy's rules match an endpoint that is neither a host nor an address.
func (v applicable) portsTo(rules []Rule, e flow.Endpoint) []enforce.PortRange {
	named := v.scope.PortsOf(e)
	var all [][]enforce.PortRange
	for _, rule := range rules {
		if rule.isEmpty() {
			continue
		}
		for _, peer := range peersOf(rule) {
			if ports := v.portsOfPeer(peer, e); len(ports) > 0 {
				open := policy.AcceptedAt(e, rangesOf(rule, named))
				all = append(all, enforce.Intersect(open, ports))
			}
		}
	}
	return enforce.Join(all...)
}

// portsOfPeer returns the ports at which a peer stands for an endpoint, whatever the ports of its rule.
func (v applicable) portsOfPeer(peer peerRef, e flow.Endpoint) []enforce.PortRange {
	other := map[string]string{cilium.Host: cilium.RemoteNode, cilium.RemoteNode: cilium.Host}[peer.entity]
	if other != "" && (policy.UsesHostNetwork(e) || policy.IsAPIServer(e)) {
		return v.portsOfEntity(other, e) // it may be on this node or on another: see opens
	}
	if v.matchPeer(peer, flow.Flow{Destination: e}) == policy.PeerMatches {
		return enforce.Everything()
	}
	return nil
}

// portsOfEntity returns the ports at which rules allow an entity.
func (v applicable) portsOfEntity(entity string, e flow.Endpoint) []enforce.PortRange {
	var all [][]enforce.PortRange
	for _, rule := range v.rules {
		if slices.Contains(rule.Entities, entity) {
			all = append(all, policy.AcceptedAt(e, rangesOf(rule, v.scope.PortsOf(e))))
		}
	}
	return enforce.Join(all...)
}

// workloadPorts returns the ports at which the rules allow any workload.
func (x *reaching) workloadPorts() []enforce.PortRange {
	if !x.isolated {
		return enforce.Everything()
	}
	allowed := [][]enforce.PortRange{x.listedPorts()}
	var denied [][]enforce.PortRange
	for _, v := range x.selecting {
		named := v.scope.AllPorts()
		for _, rule := range v.rules {
			if !rule.isEmpty() && slices.ContainsFunc(peersOf(rule), isPods) {
				allowed = append(allowed, rangesOf(rule, named))
			}
		}
		for _, rule := range v.denials {
			if !rule.isEmpty() && slices.ContainsFunc(peersOf(rule), isAllPods) {
				denied = append(denied, rangesOf(rule, nil))
			}
		}
	}
	return enforce.Subtract(enforce.Join(allowed...), enforce.Join(denied...))
}

// listedPorts returns the ports that lists allow to any workload, and to any process of the node.
func (x *reaching) listedPorts() []enforce.PortRange {
	var all [][]enforce.PortRange
	for _, v := range x.selecting {
		all = append(all, policy.ListedWorkloadPorts(v.scope.otherFlows(), v.NetworkPolicy))
	}
	return enforce.Join(all...)
}

// isPods reports whether a peer may be pods.
func isPods(peer peerRef) bool { return peer.endpoint != nil || isAllPods(peer) }

// isAllPods reports whether a peer is all pods, whatever their labels.
func isAllPods(peer peerRef) bool {
	return peer == peerRef{} || slices.Contains([]string{cilium.All, cilium.Cluster, cilium.Mesh}, peer.entity)
}

// rangesOf returns the ports of a rule; named are the ports that have a name.
func rangesOf(rule Rule, named []policy.Port) []enforce.PortRange {
	refs := rule.AllowedPorts()
	if len(refs) == 0 {
		return enforce.Everything()
	}
	var ranges []enforce.PortRange
	for _, ref := range refs {
		if ref.icmp != nil {
			ranges = append(ranges, rangesOfICMP(*ref.icmp)...)
		} else {
			ranges = append(ranges, rangesOfPort(*ref.port, named)...)
		}
	}
	return enforce.Join(ranges)
}

func rangesOfICMP(f cilium.ICMPField) []enforce.PortRange {
	protocol, number := flow.ICMP, f.Number()
	if f.Family == cilium.IPv6 {
		protocol = flow.ICMPv6
	}
	if number < 0 || number > 255 { // see cilium.Validate
		return nil
	}
	return []enforce.PortRange{{Protocol: protocol, First: uint16(number), Last: uint16(number)}}
}

func rangesOfPort(p cilium.Port, named []policy.Port) []enforce.PortRange {
	number, isNumber := p.Number()
	if !isNumber {
		return policy.NamedRanges(named, strings.ToLower(p.Port), func(is flow.Protocol) bool { return matchProtocol(p, is) })
	}
	first, last := max(number, 1), max(number, int(p.EndPort))
	if number == 0 {
		last = 65535
	}
	if first > 65535 { // see cilium.Validate
		return nil
	}
	var ranges []enforce.PortRange
	for _, all := range policy.WithPorts() {
		if matchProtocol(p, all.Protocol) {
			ranges = append(ranges, enforce.PortRange{
				Protocol: all.Protocol, First: uint16(first), Last: uint16(min(last, 65535)),
			})
		}
	}
	return ranges
}
