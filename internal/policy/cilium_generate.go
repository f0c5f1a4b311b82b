package policy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/flow"
)

// Generate is [Scope.Generate]. There is one rule to a peer with all of its ports, and one with its ICMP types: first
// workloads by namespace and labels, then the resolver, the API server, names, addresses, and anyone. Keys of labels
// have the source k8s, and pods of which the namespace is known have it in their selector.
//
// The resolver's rule lets Cilium read every look-up, without which toFQDNs matches nothing. The API server is open at
// 6443 too where it was asked at 443: that is the port of its Service, behind which most have the other.
func (c Cilium) Generate(flows []flow.Flow) []*cilium.NetworkPolicy {
	c = c.normal()
	required := c.Required(flows)
	var policies ciliumPolicies
	for _, subject := range c.Subjects {
		policies = append(policies, c.generate(subject, required))
	}
	return policies
}

func (c Cilium) generate(subject Subject, required []flow.Flow) *cilium.NetworkPolicy {
	p := &cilium.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: cilium.APIVersion, Kind: cilium.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: subject.Name, Namespace: subject.Namespace},
		Spec:       cilium.Spec{EndpointSelector: sourced(subject.selecting())},
	}
	setCiliumRules(p, egress, ciliumRules(c.openings(subject.Workload, egress, required)))
	metadata := make(map[string]bool)
	for _, f := range c.of(subject.Workload, egress, required) {
		if entry := c.metadataEntry(f); entry != "" {
			metadata[entry] = true
		}
	}
	if len(metadata) > 0 {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, MetadataAnnotation, strings.Join(slices.Sorted(maps.Keys(metadata)), ","))
	}
	if subject.Whole && c.serves(subject.Workload, required) {
		setCiliumRules(p, ingress, ciliumRules(c.openings(subject.Workload, ingress, required)))
	}
	return p
}

// metadataEntry returns what [MetadataAnnotation] says of a flow that leaves a subject, or "". To Cilium the service is
// an address like any other outside of the cluster.
func (c Cilium) metadataEntry(f flow.Flow) string {
	if address(f.Destination) != flow.MetadataService || f.Destination.Kind < flow.External || !f.Protocol.HasPorts() || c.inexpressible(egress, f) != "" {
		return ""
	}
	return opening{peerKey{addr: flow.MetadataService}, f.Port, f.Protocol}.metadataEntry()
}

// rank orders the kinds of peer in a policy.
type rank uint8

const (
	rankPods rank = iota + 1
	rankResolver
	rankAPIServer
	rankName
	rankAddress
	rankAnyone
)

// ciliumPeer is what a rule depends on of the far end of its flows.
type ciliumPeer struct {
	rank      rank
	namespace string     // of pods, where it is known
	labels    string     // of pods, as labels.Set writes them
	host      string     // of a name
	addr      netip.Addr // of an address
}

func (k ciliumPeer) compare(l ciliumPeer) int {
	return cmp.Or(
		cmp.Compare(k.rank, l.rank),
		cmp.Compare(k.namespace, l.namespace),
		cmp.Compare(k.labels, l.labels),
		cmp.Compare(k.host, l.host),
		k.addr.Compare(l.addr),
	)
}

// ciliumOpening is one port of one peer, or its ICMP.
type ciliumOpening struct {
	peer     ciliumPeer
	port     uint16 // 0 for ICMP
	protocol flow.Protocol
}

func (o ciliumOpening) isPing() bool { return isPing(flow.Flow{Protocol: o.protocol}) }

// sharesRule reports whether two openings stand in one rule.
func (o ciliumOpening) sharesRule(p ciliumOpening) bool {
	return o.peer == p.peer && o.isPing() == p.isPing()
}

func (o ciliumOpening) compare(p ciliumOpening) int {
	ping := func(o ciliumOpening) int {
		if o.isPing() {
			return 1
		}
		return 0
	}
	return cmp.Or(o.peer.compare(p.peer), cmp.Compare(ping(o), ping(p)), cmp.Compare(o.port, p.port), cmp.Compare(o.protocol, p.protocol))
}

// openings returns what a subject's flows in a direction need, sorted and each once.
func (c Cilium) openings(subject Workload, d direction, flows []flow.Flow) []ciliumOpening {
	var openings []ciliumOpening
	for _, f := range c.of(subject, d, flows) {
		if c.inexpressible(d, f) == "" {
			openings = append(openings, c.openingOf(d, f))
		}
	}
	slices.SortFunc(openings, ciliumOpening.compare)
	return slices.Compact(openings)
}

func (c Cilium) openingOf(d direction, f flow.Flow) ciliumOpening {
	if isPing(f) {
		f.Port = 0
	}
	return ciliumOpening{c.peerOf(d, d.far(f)), f.Port, f.Protocol}
}

func (c Cilium) peerOf(d direction, e flow.Endpoint) ciliumPeer {
	switch {
	case d == egress && isAPIServer(e):
		return ciliumPeer{rank: rankAPIServer}
	case e.Kind == flow.Workload:
		w, _ := c.workload(e)
		return ciliumPeer{rank: rankPods, namespace: w.Namespace, labels: w.selecting().String()}
	case e.Kind == flow.Resolver:
		return ciliumPeer{rank: rankResolver}
	case e.Kind == flow.External && d == egress:
		return ciliumPeer{rank: rankName, host: e.Name}
	case e.Kind == flow.Anyone:
		return ciliumPeer{rank: rankAnyone}
	}
	return ciliumPeer{rank: rankAddress, addr: address(e)}
}

// ciliumRules turns sorted openings into rules.
func ciliumRules(openings []ciliumOpening) []ciliumRule {
	var list []ciliumRule
	for i, o := range openings {
		if i == 0 || !o.sharesRule(openings[i-1]) {
			list = append(list, o.peer.rule())
		}
		list[len(list)-1].open(o)
	}
	return list
}

// rule returns a rule for a peer, still without ports.
func (k ciliumPeer) rule() ciliumRule {
	switch k.rank {
	case rankPods:
		set, _ := labels.ConvertSelectorToLabelsMap(k.labels) // what cannot be read back is inexpressible
		if k.namespace != "" {
			set = labels.Merge(set, labels.Set{cilium.NamespaceLabel: k.namespace})
		}
		return ciliumRule{endpoints: []metav1.LabelSelector{sourced(set)}}
	case rankResolver:
		set := labels.Merge(resolverLabels, labels.Set{cilium.NamespaceLabel: flow.ClusterResolver.Namespace})
		return ciliumRule{endpoints: []metav1.LabelSelector{sourced(set)}}
	case rankAPIServer:
		return ciliumRule{entities: []string{cilium.APIServer}}
	case rankName:
		return ciliumRule{names: []cilium.FQDN{{MatchName: k.host}}}
	case rankAnyone:
		return ciliumRule{entities: []string{cilium.All}}
	}
	return ciliumRule{cidrs: []cilium.CIDRRule{{CIDR: netip.PrefixFrom(k.addr, k.addr.BitLen()).String()}}}
}

// sourced returns a selector of pods' labels, whose keys have their source.
func sourced(set labels.Set) metav1.LabelSelector {
	s := metav1.LabelSelector{MatchLabels: make(map[string]string)}
	for key, value := range set {
		s.MatchLabels[cilium.KubernetesSource+key] = value
	}
	return s
}

// open adds the ports, or the ICMP type, of an opening. Ports keep their order and are not repeated; entries are split
// where one is full.
func (r *ciliumRule) open(o ciliumOpening) {
	switch {
	case o.isPing():
		if len(r.icmps) == 0 {
			r.icmps = []cilium.ICMPRule{{}}
		}
		fields := &r.icmps[len(r.icmps)-1].Fields
		if !slices.Contains(*fields, o.echo()) {
			*fields = append(*fields, o.echo())
		}
	case o.peer.rank == rankResolver && o.port == resolverPort:
		if !slices.ContainsFunc(r.ports, cilium.PortRule.HasDNS) {
			r.ports = slices.Insert(r.ports, 0, lookups())
		}
	default:
		for _, port := range o.ciliumPorts() {
			r.addPort(port)
		}
	}
}

// addPort adds a port to the first entry without DNS rules that has room, before the first port that is later.
func (r *ciliumRule) addPort(port cilium.Port) {
	r.ports = slices.Clone(r.ports)
	room := -1
	for i, rule := range r.ports {
		switch {
		case rule.Rules != nil:
		case slices.Contains(rule.Ports, port):
			return
		case room < 0 && len(rule.Ports) < cilium.MaxPorts:
			room = i
		}
	}
	if room < 0 {
		r.ports = append(r.ports, cilium.PortRule{Ports: []cilium.Port{port}})
		return
	}
	later := func(other cilium.Port) bool { return comparePorts(other, port) > 0 }
	r.ports[room].Ports = insertBefore(slices.Clone(r.ports[room].Ports), port, later)
}

func comparePorts(a, b cilium.Port) int {
	m, isNumber := a.Number()
	n, _ := b.Number()
	if !isNumber {
		return -1 // names first, where they are
	}
	return cmp.Or(cmp.Compare(m, n), cmp.Compare(protocolRank(a.Protocol), protocolRank(b.Protocol)))
}

// protocolRank orders protocols as IANA's numbers do, as the other dialect has them.
func protocolRank(name string) int {
	for i, known := range []string{flow.TCP.String(), flow.UDP.String(), flow.SCTP.String()} {
		if name == known {
			return i
		}
	}
	return -1
}

// lookups are the ports of the resolver, and leave for all that is asked there.
func lookups() cilium.PortRule {
	return cilium.PortRule{
		Ports: []cilium.Port{{Port: strconv.Itoa(resolverPort), Protocol: cilium.Any}},
		Rules: &cilium.L7Rules{DNS: []cilium.FQDN{{MatchPattern: "*"}}},
	}
}

// The ports of the API server: of its Service, and of most of its processes.
const (
	apiServicePort = 443
	apiServerPort  = 6443
)

func (o ciliumOpening) ciliumPorts() []cilium.Port {
	port := cilium.Port{Port: strconv.Itoa(int(o.port)), Protocol: o.protocol.String()}
	if o.peer.rank == rankAPIServer && o.port == apiServicePort {
		behind := port
		behind.Port = strconv.Itoa(apiServerPort)
		return []cilium.Port{port, behind}
	}
	return []cilium.Port{port}
}

func (o ciliumOpening) echo() cilium.ICMPField {
	if o.protocol == flow.ICMPv6 {
		return cilium.ICMPField{Family: cilium.IPv6, Type: intstr.FromInt32(cilium.EchoV6)}
	}
	return cilium.ICMPField{Family: cilium.IPv4, Type: intstr.FromInt32(cilium.Echo)}
}
