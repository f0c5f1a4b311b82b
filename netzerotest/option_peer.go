package netzerotest

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
)

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
	at := callerPlace()
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
// including packets without ports such as pings, and look-ups of the name that get no address.
//
// With [Driver], a container's name with a port leaves out the flows of the test process to that port, and no others. A
// driver that inspects a database is not one of its callers, but the services that use it are:
//
//	netzerotest.Record(t, netzerotest.Driver(), netzerotest.Ignore("redis-cart:6379"))
func Ignore(addresses ...string) Option {
	return optionFunc(func(c *config) error {
		var errs []error
		for _, address := range addresses {
			ignore, err := endpoint.ParseIgnore(address)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			c.ignores = append(c.ignores, ignore)
		}
		return errors.Join(errs...)
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
	return optionFunc(func(c *config) error {
		if len(patterns) == 0 {
			return errors.New("FoldNames: no pattern: give one, such as \"shard-*.db.example.net\"")
		}
		var errs []error
		for _, pattern := range patterns {
			if err := policy.CheckFold(pattern); err != nil {
				errs = append(errs, fmt.Errorf("FoldNames(%q): %w", pattern, err))
			}
		}
		c.folds = append(c.folds, patterns...)
		return errors.Join(errs...)
	})
}
