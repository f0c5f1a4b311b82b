package endpoint

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// byName returns the endpoint of a DNS name: a workload if only the cluster (or a Docker network) can resolve the name,
// otherwise an external host. domains are cluster domains in addition to cluster.local.
func byName(name string, addr netip.Addr, domains ...string) flow.Endpoint {
	name = canonicalName(name)
	if IsAPIServerName(name) {
		return apiServer(name, addr, flow.ByDNS)
	}
	if service, namespace, ok := clusterService(name, domains...); ok {
		return flow.Endpoint{Kind: flow.Workload, Name: service, Namespace: namespace, Addr: addr, Evidence: flow.ByDNS}
	}
	return flow.Endpoint{Kind: flow.External, Name: name, Addr: addr, Evidence: flow.ByDNS}
}

// clusterService splits names of Kubernetes' DNS specification: "db", "db.shop.svc", "db.shop.svc.cluster.local", also
// with labels before the service: "db-0.db.shop.svc" (a StatefulSet's pod), "_pg._tcp.db.shop.svc" (SRV). It does not
// match "db.shop", which has the form of "example.com".
func clusterService(name string, domains ...string) (service, namespace string, ok bool) {
	if !strings.Contains(name, ".") {
		service = Label(name)
		return service, "", service != ""
	}
	qualified, ok := cutClusterDomain(name, domains)
	if !ok {
		return "", "", false
	}
	labels := strings.Split(qualified, ".")
	if len(labels) < 2 {
		return "", "", false
	}
	service, namespace = labels[len(labels)-2], labels[len(labels)-1]
	return service, namespace, CheckLabel(service) == nil && CheckLabel(namespace) == nil
}

// cutClusterDomain returns the part before ".svc" and the cluster's domain. A domain that does not exist on the
// internet counts as a cluster domain too.
func cutClusterDomain(name string, domains []string) (string, bool) {
	if qualified, ok := strings.CutSuffix(name, ".svc"); ok {
		return qualified, true
	}
	for _, domain := range append([]string{defaultClusterDomain}, domains...) {
		if qualified, ok := strings.CutSuffix(name, ".svc."+domain); ok {
			return qualified, true
		}
	}
	i := strings.LastIndex(name, ".svc.")
	if i < 0 || !isPrivateDomain(name[i+len(".svc."):]) {
		return "", false
	}
	return name[:i], true
}

const defaultClusterDomain = "cluster.local"

// privateZones are the top-level domains that are reserved for private use (RFC 6761, RFC 6762 and ICANN), and others
// that are used privately.
var privateZones = []string{"local", "internal", "test", "lan", "localdomain"}

// isPrivateDomain reports whether a domain does not exist on the internet.
func isPrivateDomain(domain string) bool {
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	return last == domain || slices.Contains(privateZones, last)
}

// ServiceNames returns the names of a Service, or of another workload that is reached by name: "db", "db.shop",
// "db.shop.svc", and the last one with cluster.local and each of the cluster domains. Without a namespace it has only
// the first one.
func ServiceNames(service, namespace string, domains ...string) []string {
	if namespace == "" {
		return []string{service}
	}
	qualified := service + "." + namespace
	names := []string{service, qualified, qualified + ".svc"}
	for _, domain := range append([]string{defaultClusterDomain}, domains...) {
		if name := qualified + ".svc." + domain; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// ServiceName splits a name that only the cluster's DNS can resolve: "orders-db.shop.svc" with or without a domain.
// domains are cluster domains in addition to cluster.local.
func ServiceName(name string, domains ...string) (service, namespace string, ok bool) {
	if name = canonicalName(name); !strings.Contains(name, ".") {
		return "", "", false
	}
	return clusterService(name, domains...)
}

// ParseDomain parses a DNS name without a wildcard, and returns it in canonical form: lower case, without the trailing
// dot.
func ParseDomain(domain string) (string, error) {
	p, err := parseName(domain)
	switch {
	case err != nil:
		return "", fmt.Errorf("domain %w", err)
	case p.kind != onName:
		return "", fmt.Errorf("domain %q is not a DNS name: write one, such as \"k8s.example.com\"", domain)
	}
	return p.name, nil
}

// byName is byName for a name that a process looked up. The process's search list shows the cluster's domain: a pod has
// the domains of its namespace, of Services and of the cluster.
func (id *Identifier) byName(pid int, name string, addr netip.Addr) flow.Endpoint {
	e := byName(name, addr, id.config.ClusterDomains...)
	if e.Kind == flow.External && strings.Contains(e.Name, ".svc.") {
		search, _ := id.resolvers.Search(pid)
		return byName(name, addr, search.ClusterDomains()...)
	}
	return e
}

// ClusterDomains returns the cluster domains of a search list: "k8s.example.com" if it contains both that and
// "svc.k8s.example.com".
func (s Search) ClusterDomains() []string {
	var domains []string
	for _, domain := range s.Domains {
		if slices.Contains(s.Domains, "svc."+domain) {
			domains = append(domains, domain)
		}
	}
	return domains
}

// OfPeer returns the endpoint that a Peer option assigned to an address: the pods of a workload, an external host, or
// the API server. It leaves out the address of an external host, because the address is that of a stand-in.
func (id *Identifier) OfPeer(peer Peer, addr netip.Addr) flow.Endpoint {
	if peer.APIServer {
		return apiServer("", addr, flow.ByOption)
	}
	e := byName(peer.Name, addr, id.config.ClusterDomains...)
	e.Evidence = flow.ByOption
	if e.Kind == flow.External {
		e.Addr = netip.Addr{}
	}
	return e
}

// ParseAddresses parses an IP address (a range of one) or a CIDR without host bits. Its errors say what is wrong and
// what to write instead; the caller adds the text.
func ParseAddresses(text string) (netip.Prefix, error) {
	p, err := parsePattern(text)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case p.kind != onAddress && p.kind != onNetwork:
		return netip.Prefix{}, errors.New("is not an IP address: write one, or a CIDR such as \"169.254.20.10/32\"")
	case p.port != 0:
		return netip.Prefix{}, fmt.Errorf("has a port: write %q, and the port beside it", p.prefix)
	}
	return p.prefix, nil
}
