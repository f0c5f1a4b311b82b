package netzerotest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/urlpath"
)

// An Option changes what [Record] and [RecordPackage] record or compare. Options add up. Two that contradict each other
// are an error.
type Option interface {
	apply(*config) error
}

// Workload names the workload that the test process stands for. The name is the policy's name, and the value of its
// pods' label app unless [Labels] sets others. It is a DNS label (RFC 1123). The default is the name of the package's
// directory.
func Workload(name string) Option {
	return optionFunc(func(c *config) error { return setLabel("Workload", &c.placement.Workload, name) })
}

// Labels sets the labels by which the policy selects the workload's pods. The default is app with the workload's name.
func Labels(labels map[string]string) Option {
	if len(labels) == 0 {
		return invalid("Labels: no label: a policy without one selects every pod of the namespace")
	}
	return optionFunc(func(c *config) error {
		for k, v := range labels {
			if old, ok := c.labels[k]; ok && old != v {
				return fmt.Errorf("Labels: %s is %q and %q: keep one", k, old, v)
			}
		}
		if c.labels == nil {
			c.labels = make(map[string]string)
		}
		maps.Copy(c.labels, labels)
		return nil
	})
}

// Namespace writes a Kubernetes namespace into the policy. By default the policy has none, and kubectl apply sets it.
func Namespace(name string) Option {
	return optionFunc(func(c *config) error { return setLabel("Namespace", &c.placement.Namespace, name) })
}

// Driver declares that the test process is not a workload, but drives the services in containers. It gets no policy. A
// flow from it to a container becomes ingress from anywhere at the container's port, unless [Ignore] names the port
// because the driver only inspects the container. If a container reaches a server of the test process, name that server
// with [Peer].
func Driver() Option {
	return setting(func(c *config) { c.placement.Ignored.Driver = true })
}

// Golden sets the file of the committed policy, relative to the package's directory. The default is
// testdata/netzero/<test name>.yaml.
func Golden(path string) Option {
	return optionFunc(func(c *config) error { return set("Golden", &c.golden, path) })
}

// Shared sets the file of a policy that several tests share, relative to the package's directory. Use it if each test
// opens a part of the flows of one deployed service. Each test is compared with the whole file.
//
// An update by a test adds the rules that it needs. A rule that no test needs is removed after a full run: all tests
// that the file lists have recorded, and none failed, was skipped or was cut short by -run, -skip or -short. [Main]
// removes it when the package has ended; without Main the last of the tests does. [Strict] checks at the same moment.
//
// Tests of several packages may share a file; then updates only add, and "netzero update" removes what none of the
// packages needs. A file that one test shares cannot be the [Golden] file of another.
func Shared(path string) Option {
	return optionFunc(func(c *config) error { return set("Shared", &c.shared, path) })
}

// Strict fails the test if the committed policy has an unused rule, or if the test dialled a port of this machine on
// which no process listened. Without it, both are reported and the test passes.
func Strict() Option {
	return setting(func(c *config) { c.strict = true })
}

// Enforce makes the kernel refuse what the committed policy does not allow, before a packet leaves. The call fails with
// EPERM ("operation not permitted"), and the test fails with a report of the refused attempts. It holds for the test,
// its children and its containers, and for no other test of the process. NETZERO_ENFORCE=1 does the same for all
// recordings.
//
// Loopback, Unix sockets, replies of servers, the resolver and the container engine are always allowed. A name opens
// the addresses that DNS answers for it. Flows to containers whose address is only known once they run are judged when
// the test ends, as without the option. See [what is refused].
//
// With -update nothing is refused, and outside of CI neither if there is no golden file, so that a test can record its
// first policy. In CI without a golden file, everything is refused.
//
// Enforce keeps tests hermetic. It is not a sandbox for hostile code.
//
// It ends the test at once if the kernel cannot enforce the policy exactly: a name with a star inside a label, more
// than 32 ranges of ports for one address, or parallel recordings whose goroutines cannot be told apart.
//
// [what is refused]: https://github.com/netzero-dev/netzero/blob/main/docs/enforce.md
func Enforce() Option {
	return setting(func(c *config) { c.enforce = true })
}

// Peer names a destination that the test cannot know. In the policy it is the pods with the label app of that name, or
// an external host.
//
// address is host:port, an IP address, a CIDR or a DNS name. The most specific one counts. An address with a port also
// names a server of the test process itself, such as an httptest.Server that stands for a real service. Without Peer,
// traffic from the test process to itself is no flow.
//
// name is a DNS label (RFC 1123) for pods in the caller's namespace, or a DNS name. It may end in the port of the real
// service, which the policy then has, whatever port the test dials:
//
//	netzerotest.Peer(srv.Listener.Addr().String(), "search:8080")
//	netzerotest.Peer(srv.Listener.Addr().String(), "search.shop.svc:8080")
//	netzerotest.Peer(srv.Listener.Addr().String(), "api.stripe.com:443")
//
// A DNS name with dots is an external host, unless it can only be a name of the cluster ("search.shop.svc", see
// [ClusterDomain]) or the [Manifests] have it: with them "search.shop" is the Service search in namespace shop.
//
// A name of the API server's Service, in any form that pods use, is the cluster's API server, not pods. Without a port
// it is at 443, unless the test dials 6443 or 8443:
//
//	netzerotest.Peer(srv.Listener.Addr().String(), "kubernetes.default.svc:443")
//
// No Peer is needed for a child process kube-apiserver, as envtest starts it, or for the address in
// KUBERNETES_SERVICE_HOST.
//
// If a server of this machine listens in the ephemeral range (net.ipv4.ip_local_port_range), give the port in name: the
// dialled port may differ in every run. Without it a flow there fails the test and is never written.
func Peer(address, name string) Option {
	at := gotest.CallerPlace(goroutine.Module())
	return optionFunc(func(c *config) error {
		p, err := endpoint.ParsePeer(address, name)
		if err != nil {
			return err
		}
		p.At = at
		c.peers = append(c.peers, p)
		return nil
	})
}

// Ignore leaves destinations out of the policy and of the comparison. An address is host:port, an IP address, a CIDR or
// a DNS name, which may begin with "*." for one or more labels. Without a port it leaves out every flow to them,
// including packets without ports such as pings, and lookups of the name that get no address.
//
// With [Driver], a container's name with a port leaves out the flows of the test process to that port, and no others. A
// driver that inspects a database is not one of its callers, but the services that use it are:
//
//	netzerotest.Record(t, netzerotest.Driver(), netzerotest.Ignore("redis-cart:6379"))
func Ignore(addresses ...string) Option {
	return forEach(addresses, func(c *config, address string) error {
		ignore, err := endpoint.ParseIgnore(address)
		if err == nil {
			c.placement.Ignored.Destinations = append(c.placement.Ignored.Destinations, ignore)
		}
		return err
	})
}

// FoldNames writes an external host that matches a pattern as the pattern. Use it for hosts with a number or a
// generated name, so that the next such host needs no update. Without it every host is written by its own name, and a
// policy has a pattern only if you wrote it.
//
// A pattern is a DNS name in lower case. A leading "*." stands for one or more labels, any other "*" for letters,
// digits and hyphens within its label: "*.blob.core.windows.net", "shard-*.db.example.net". If several match, the
// widest counts: the one with the fewest characters besides asterisks, then the first in alphabetical order. In a
// policy of [Cilium], where "*." is one label, a host with more of them is written with "**.".
//
// An update also folds the names that a policy already has. A pattern without an asterisk, or with one in its last
// label (such as "*"), is an error.
func FoldNames(patterns ...string) Option {
	if len(patterns) == 0 {
		return invalid(`FoldNames: no pattern: give one, such as "shard-*.db.example.net"`)
	}
	return forEach(patterns, func(c *config, pattern string) error {
		if err := policy.CheckFold(pattern); err != nil {
			return fmt.Errorf("FoldNames(%q): %w", pattern, err)
		}
		c.placement.Rules.Fold = append(c.placement.Rules.Fold, pattern)
		return nil
	})
}

// FoldPaths writes the path of an HTTP request that matches a pattern as the pattern. Use it for segments that are
// names of things, such as those of customers. It needs [Requests].
//
// A pattern is an absolute path in which a word in braces stands for one whole segment: "/customers/{name}". The words
// digits, uuid, ulid, hex and date stand for segments of that form only. Other words may be any, and policies show
// them. If several patterns match, the first one in alphabetical order counts. A pattern without a word in braces is
// an error.
func FoldPaths(patterns ...string) Option {
	if len(patterns) == 0 {
		return invalid(`FoldPaths: no pattern: give one, such as "/customers/{name}"`)
	}
	return forEach(patterns, func(c *config, pattern string) error {
		if err := urlpath.CheckFold(pattern); err != nil {
			return fmt.Errorf("FoldPaths(%q): %w", pattern, err)
		}
		c.placement.Rules.FoldPaths = append(c.placement.Rules.FoldPaths, pattern)
		return nil
	})
}

// Ports sets ports of a workload that its container does not expose. These are a range from which each run uses
// different ports, such as those of passive FTP, RMI or media, or a fixed port in the ephemeral range:
//
//	netzerotest.Ports("ftp:30000-30009", "media:10000-10999/UDP", "orders:50051")
//
// A port is workload:port or workload:first-last. Add the namespace if several have the workload
// (ftp.shop:30000-30009), and /UDP or /SCTP if the protocol is not TCP. A flow to a port of a range is written with the
// whole range (endPort), in the caller's egress and the server's ingress. The comparison uses the port itself.
//
// Without it, a flow to a port that may differ in the next run fails the test, unless the committed policy allows it,
// and an update never writes it. Such a port lies in the ephemeral range (net.ipv4.ip_local_port_range of the server's
// network namespace), and neither the container (EXPOSE, WithExposedPorts) nor [Manifests] nor [Peer] names it.
//
// Errors: a port that cannot be parsed, a range that ends before it begins, and two overlapping ranges of one workload.
func Ports(ports ...string) Option {
	if len(ports) == 0 {
		return invalid(`Ports: no port: give one, such as "ftp:30000-30009"`)
	}
	return forEach(ports, func(c *config, text string) error {
		if err := c.placement.AddPorts(text); err != nil {
			return fmt.Errorf("Ports(%q): %w", text, err)
		}
		return nil
	})
}

// Manifests takes labels, namespaces and ports from Kubernetes manifests. The patterns are those of path/filepath.Glob,
// relative to the package's directory. A container, a child process, a [Peer] and the test process are matched with the
// Service or the workload of the same name. If the manifests lack that name, it keeps the label app, and a notice lists
// the names that exist.
//
// A workload's own policy uses the workload's own selector; a rule selects a destination by its Service's. Labels of
// one release or one run, such as helm.sh/chart and job-name, are left out as long as the others identify the workload.
// A Service with a selector that matches no workload stands for pods that an operator creates.
//
// A Service's port, a nodePort or a hostPort becomes the port of the pods. A Service without a selector stands for its
// Endpoints, one of type ExternalName for its host.
//
// Service kubernetes of namespace default is the API server. If the manifests hold its Endpoints or EndpointSlices, a
// NetworkPolicy has them as ipBlocks. Else the policy opens its ports to all addresses and has the annotation
// netzero.dev/egress-api-server. Pods with hostNetwork, which no selector matches, are written in the same way, with
// netzero.dev/egress-host-network.
//
// Errors, with file, document and line: a pattern that matches no file, a file that cannot be read or that kubectl
// apply would refuse, and a name with several meanings.
func Manifests(patterns ...string) Option {
	if len(patterns) == 0 {
		return invalid(`Manifests: no pattern: name files, such as "deploy/*.yaml"`)
	}
	return setting(func(c *config) { c.manifests = append(c.manifests, patterns...) })
}

// ClusterDomain adds a cluster domain besides cluster.local. With "k8s.example.com", the name
// "orders-db.shop.svc.k8s.example.com" is the Service orders-db in namespace shop, not an external host. It may be
// given several times. These domains always count:
//
//   - cluster.local
//   - domains that the resolver of the process searches as a pod's does
//   - domains that no external host can have: one label, or below .local, .internal, .lan, .localdomain and .test
//
// A domain that is no DNS name is an error.
func ClusterDomain(domain string) Option {
	return optionFunc(func(c *config) error {
		name, err := endpoint.ParseDomain(domain)
		if err != nil {
			return fmt.Errorf("ClusterDomain(%q): %w", domain, err)
		}
		if domains := &c.placement.ClusterDomains; !slices.Contains(*domains, name) {
			*domains = append(*domains, name)
		}
		return nil
	})
}

// DNS is a place where the cluster's DNS listens: pods, or other addresses.
type DNS struct {
	Namespace string            // of the pods
	Labels    map[string]string // of the pods
	Addresses []string          // instead of pods: IP addresses or CIDRs; "169.254.20.10/32" is NodeLocal DNSCache
	Ports     []uint16          // at which the pods listen, behind any Service; the default is 53
}

// Resolver sets the places at which the cluster's DNS listens. The policies get a rule for the pods of each place, and
// one for each address. Several places add up. The default is pods with the label k8s-app: kube-dns in namespace
// kube-system, at port 53, over UDP and TCP. Resolver replaces it.
//
//	// GKE Autopilot, where NodeLocal DNSCache always runs:
//	netzerotest.Resolver(
//		netzerotest.DNS{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}},
//		netzerotest.DNS{Addresses: []string{"169.254.20.10/32"}},
//	)
//	// OpenShift:
//	netzerotest.Resolver(netzerotest.DNS{
//		Namespace: "openshift-dns",
//		Labels:    map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"},
//		Ports:     []uint16{5353},
//	})
//
// A committed policy has to allow every place, by any rule. Errors: a place with neither labels nor addresses, or with
// both; labels without a namespace; an invalid address; port 0.
func Resolver(places ...DNS) Option {
	if len(places) == 0 {
		return invalid("Resolver: no place: give the labels and the namespace of the pods, or addresses")
	}
	return forEach(places, func(c *config, place DNS) error {
		resolvers, err := placement.DNS(place).Resolvers()
		if err != nil {
			return fmt.Errorf("Resolver: %w", err)
		}
		c.placement.Rules.Resolvers = append(c.placement.Rules.Resolvers, resolvers...)
		return nil
	})
}

// Cilium writes CiliumNetworkPolicies (cilium.io/v2) instead of NetworkPolicies, for the same workloads. These differ:
//
//   - An external host is a toFQDNs rule, with the rule for DNS that it needs.
//   - A ping is a rule with ICMP types, which a NetworkPolicy cannot express.
//   - The API server is the entity kube-apiserver.
//   - Pods on the network of their nodes, according to the manifests, are the entities host and remote-node.
//   - A process of this machine that is not the test's, and that a container reached at an address of the machine, is
//     the entity host. In a NetworkPolicy it has the name of its executable, as pods do.
//
// A golden file of the other kind is an error.
func Cilium() Option {
	return setting(func(c *config) { c.placement.Cilium = true })
}

// Binaries lists, in the annotation netzero.dev/binaries of each policy, the programs that open the flows of the
// policy. A program that is not listed fails the test. The test's own binary is never listed. Without the option, a
// list in a golden file leads to a notice instead, and an update leaves the list alone.
//
// An entry is a program's file name; of a longer name the first 63 bytes. Entries are separated by commas. A byte that
// is neither an ASCII letter or digit nor one of "._+@-" is percent-encoded ("my%20tool"). In a list that you edit, "*"
// stands for any characters. In a file that tests share the list holds for all of them, as soon as one has the option.
//
// The sender of ICMP and raw packets is not known, so it is not compared. The kernel needs readable BTF; without it the
// test fails and says so.
func Binaries() Option {
	return setting(func(c *config) { c.placement.Rules.Binaries = true })
}

// Requests reads the HTTP, gRPC and Kafka requests of the test and its containers, and lists them in the policies. A
// request that is not listed fails the test, even if its port is open.
//
// With [Cilium], HTTP and gRPC requests are rules.http, which Cilium enforces. Otherwise they are in the annotation
// netzero.dev/requests, which only recordings check. Kafka requests are in the annotation netzero.dev/kafka:
// "produce orders,fetch payments".
//
// Paths are written with placeholders for segments that are numbers, UUIDs, ULIDs, long hexadecimal numbers or dates;
// see [FoldPaths] for others. Queries, header values and bodies are never written.
//
// Only plaintext TCP is read, and only whole connections. A flow over TLS, or with one connection that was opened
// before the recording or that could not be understood, is opaque: its policy allows every request, and a notice says
// why.
func Requests() Option {
	return setting(func(c *config) { c.placement.Rules.Requests = true })
}

// CloseIngress denies ingress to containers without a caller in the test, such as a job or a worker: their policy has
// the type Ingress without a rule. Only containers that were recorded completely are closed. Without the option they
// stay open, because a test need not have every caller; a policy that denies ingress already keeps doing so.
//
// The test process is never closed, because no test knows its callers.
func CloseIngress() Option {
	return setting(func(c *config) { c.placement.Rules.CloseIngress = true })
}

// DefaultDeny adds the policy default-deny-all for each namespace of the recorded workloads. It denies all traffic of
// all pods there that no other policy allows, also of workloads that no test knows. A golden file without it fails the
// test; a policy with another name, or two for the two directions, is accepted.
//
// It isolates the test process for ingress, too. Its callers in the test are allowed. Add its other callers in
// production to its policy by hand; updates keep them.
func DefaultDeny() Option {
	return setting(func(c *config) { c.placement.Rules.DenyAll = true })
}
