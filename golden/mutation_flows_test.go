package golden

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	npolicy "github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// reconstruction reconstructs the recorded flows from generated policies.
type reconstruction struct {
	t     *testing.T
	scope npolicy.Scope
	flows []flow.Flow
}

// flowsOf returns the scope and the flows of an unedited golden file.
func flowsOf(t *testing.T, file *File) (npolicy.Scope, []flow.Flow) {
	s := &reconstruction{t: t}
	var specs []map[string]any
	for _, p := range file.Policies {
		spec := objectTree(t, p).(map[string]any)["spec"].(map[string]any)
		specs = append(specs, spec)
		selector, _ := spec["podSelector"].(map[string]any)
		if selector == nil {
			selector = spec["endpointSelector"].(map[string]any)
		}
		labels, _ := s.labels(selector)
		s.scope.Subjects = append(s.scope.Subjects, npolicy.Subject{
			Workload:   npolicy.Workload{Name: p.GetName(), Namespace: p.GetNamespace(), Labels: labels},
			AllTraffic: spec["ingress"] != nil,
		})
	}
	for i, p := range file.Policies {
		self := flow.Endpoint{Kind: flow.Workload, Name: p.GetName(), Namespace: p.GetNamespace()}
		var names []string
		if list := p.GetAnnotations()[npolicy.NamesAnnotation]; list != "" {
			names = strings.Split(list, ",")
		}
		for _, name := range names { // of lookups
			if host, isLookup := strings.CutSuffix(name, ":*"); isLookup {
				s.flows = append(s.flows, flow.Flow{Source: self, Destination: s.endpointOf(host), Lookup: true})
			}
		}
		for _, entry := range strings.Split(p.GetAnnotations()[npolicy.OtherAnnotation], ",") {
			if kind, peer, listed := strings.Cut(entry, " "); listed {
				s.flows = append(s.flows, s.listedFlow(self, kind, peer))
			}
		}
		binaries, listed := p.GetAnnotations()[npolicy.BinariesAnnotation]
		s.scope.Binaries = s.scope.Binaries || listed
		for _, rule := range rulesIn(specs[i], "egress") {
			for _, peer := range s.peers(rule, self.Namespace) {
				for _, port := range s.ports(rule) {
					port.Binaries = strings.FieldsFunc(binaries, func(r rune) bool { return r == ',' })
					s.add(self, peer, port, names)
				}
			}
		}
		for _, rule := range rulesIn(specs[i], "ingress") {
			for _, peer := range s.peers(rule, self.Namespace) {
				for _, port := range s.ports(rule) {
					port.Source, port.Destination = peer, self
					s.flows = append(s.flows, port)
				}
			}
		}
	}
	return s.scope, s.flows
}

// endpointOf returns the endpoint for a name in an annotation.
func (s *reconstruction) endpointOf(name string) flow.Endpoint {
	if addr, err := netip.ParseAddr(name); err == nil {
		return flow.Endpoint{Kind: flow.Address, Addr: addr}
	}
	workload, isWorkload := strings.CutSuffix(name, ".svc")
	if !isWorkload && strings.Contains(name, ".") {
		return flow.Endpoint{Kind: flow.External, Name: name}
	}
	workload, namespace, _ := strings.Cut(workload, ".")
	return flow.Endpoint{Kind: flow.Workload, Name: workload, Namespace: namespace}
}

// listedFlow returns a flow that an annotation lists.
func (s *reconstruction) listedFlow(self flow.Endpoint, kind, peer string) flow.Flow {
	f := flow.Flow{Source: self, Destination: s.endpointOf(peer)}
	for text, protocol := range map[string]flow.Protocol{"icmp-echo": flow.ICMP, "icmpv6-echo": flow.ICMPv6,
		"udplite": flow.UDPLite} {
		if kind == text {
			f.Protocol = protocol
		}
	}
	if f.Protocol == 0 {
		s.t.Errorf("which flow is %s?", kind)
	}
	return f
}

func rulesIn(spec map[string]any, direction string) []map[string]any {
	var rules []map[string]any
	list, _ := spec[direction].([]any)
	for _, rule := range list {
		rules = append(rules, rule.(map[string]any))
	}
	return rules
}

// add adds a flow that leaves a workload. A rule for the internet becomes a flow to each name in the annotation.
func (s *reconstruction) add(self, peer flow.Endpoint, port flow.Flow, names []string) {
	port.Source, port.Destination = self, peer
	if peer.Kind != flow.External || peer.Name != "" {
		s.flows = append(s.flows, port)
		return
	}
	for _, name := range names {
		host, rest, _ := strings.Cut(name, ":")
		if rest == fmt.Sprintf("%d/%s", port.Port, port.Protocol) {
			port.Destination.Name = host
			s.flows = append(s.flows, port)
		}
	}
}

// peers returns the peers of a rule.
func (s *reconstruction) peers(rule map[string]any, namespace string) []flow.Endpoint {
	var all []flow.Endpoint
	for _, field := range []string{"to", "from", "toEndpoints", "fromEndpoints", "toFQDNs", "toCIDR", "toCIDRSet",
		"fromCIDR", "fromCIDRSet", "toEntities", "fromEntities"} {
		list, _ := rule[field].([]any)
		for _, element := range list {
			peer, _ := element.(map[string]any)
			block, _ := peer["ipBlock"].(map[string]any)
			switch {
			case element == "all":
				all = append(all, flow.Endpoint{Kind: flow.Anyone})
			case element == "kube-apiserver":
				all = append(all, flow.Endpoint{Kind: flow.External, Name: "kubernetes.default.svc"})
			case block != nil:
				all = append(all, address(s.t, block["cidr"].(string)))
			case peer["cidr"] != nil:
				all = append(all, address(s.t, peer["cidr"].(string)))
			case peer["matchName"] != nil:
				all = append(all, flow.Endpoint{Kind: flow.External, Name: peer["matchName"].(string)})
			default:
				all = append(all, s.pods(peer, namespace))
			}
		}
	}
	if len(all) == 0 {
		all = append(all, flow.Endpoint{Kind: flow.Anyone})
	}
	return all
}

// address returns a single address, or one public address that a name resolves to.
func address(t *testing.T, cidr string) flow.Endpoint {
	prefix := netip.MustParsePrefix(cidr)
	switch {
	case prefix.IsSingleIP():
		return flow.Endpoint{Kind: flow.Address, Addr: prefix.Addr()}
	case prefix.Bits() > 0:
		t.Errorf("no recording writes %s", cidr)
	case prefix.Addr().Is4():
		return flow.Endpoint{Kind: flow.External, Addr: netip.MustParseAddr("198.51.100.7")}
	}
	return flow.Endpoint{Kind: flow.External, Addr: netip.MustParseAddr("2001:db8::7")}
}

// pods returns the workload of a selector: a subject, the resolver or a peer.
func (s *reconstruction) pods(peer map[string]any, namespace string) flow.Endpoint {
	selector, _ := peer["podSelector"].(map[string]any)
	if selector == nil {
		selector = peer
	}
	labels, elsewhere := s.labels(selector)
	if namespaces, _ := peer["namespaceSelector"].(map[string]any); namespaces != nil {
		of, _ := s.labels(namespaces)
		elsewhere = of["kubernetes.io/metadata.name"]
	}
	if elsewhere != "" {
		namespace = elsewhere
	}
	if labels["k8s-app"] == "kube-dns" {
		return flow.ClusterResolver
	}
	for _, subject := range s.scope.Subjects {
		if maps.Equal(subject.Labels, labels) && subject.Namespace == namespace {
			return flow.Endpoint{Kind: flow.Workload, Name: subject.Name, Namespace: namespace}
		}
	}
	for _, known := range s.scope.Peers {
		if maps.Equal(known.Labels, labels) && known.Namespace == namespace {
			return flow.Endpoint{Kind: flow.Workload, Name: known.Name, Namespace: namespace}
		}
	}
	name := "peer-" + strconv.Itoa(len(s.scope.Peers))
	s.scope.Peers = append(s.scope.Peers, npolicy.Workload{Name: name, Namespace: namespace, Labels: labels})
	return flow.Endpoint{Kind: flow.Workload, Name: name, Namespace: namespace}
}

// labels returns a selector's labels without their sources, and the namespace that Cilium's label names.
func (s *reconstruction) labels(selector map[string]any) (labels map[string]string, namespace string) {
	labels = make(map[string]string)
	matched, _ := selector["matchLabels"].(map[string]any)
	for key, value := range matched {
		key = strings.TrimPrefix(key, "k8s:")
		if key == "io.kubernetes.pod.namespace" {
			namespace = value.(string)
			continue
		}
		labels[key] = value.(string)
	}
	return labels, namespace
}

// ports returns a flow for each port of a rule, or ICMP type.
func (s *reconstruction) ports(rule map[string]any) []flow.Flow {
	var all []flow.Flow
	list, _ := rule["ports"].([]any)
	for _, entry := range append(list, asList(rule["toPorts"])...) {
		entry := entry.(map[string]any)
		for _, inner := range append(asList(entry["ports"]), entry) {
			inner := inner.(map[string]any)
			if inner["port"] == nil {
				continue
			}
			n, err := strconv.ParseUint(fmt.Sprint(inner["port"]), 10, 16)
			if err != nil {
				s.t.Fatal(err)
			}
			for _, p := range []flow.Protocol{flow.TCP, flow.UDP, flow.SCTP} {
				if name := inner["protocol"]; name == p.String() || name == "ANY" && p != flow.SCTP {
					all = append(all, flow.Flow{Protocol: p, Port: uint16(n), Requests: s.requests(entry)})
				}
			}
		}
	}
	for _, entry := range asList(rule["icmps"]) {
		for _, field := range asList(entry.(map[string]any)["fields"]) {
			protocol := flow.ICMP
			if field.(map[string]any)["family"] == "IPv6" {
				protocol = flow.ICMPv6
			}
			all = append(all, flow.Flow{Protocol: protocol})
		}
	}
	return all
}

// requests returns a request for each HTTP rule of some ports.
func (s *reconstruction) requests(ports map[string]any) []flow.Request {
	rules, _ := ports["rules"].(map[string]any)
	var all []flow.Request
	for _, element := range asList(rules["http"]) {
		s.scope.Requests = true
		rule := element.(map[string]any)
		// What recordings write for placeholders, and for any query.
		path := strings.NewReplacer(`(\?.*)?`, "", "[0-9]+", "17", "[^/?]+", "ada", `\`, "").Replace(rule["path"].(string))
		all = append(all, flow.Request{Protocol: flow.HTTP, Method: rule["method"].(string), Path: path})
	}
	slices.SortFunc(all, flow.Request.Compare)
	return all
}

func asList(v any) []any {
	list, _ := v.([]any)
	return list
}
