package netzerotest

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
)

// Peer names a destination that the test cannot know: in the policy it is the pods with the label app of that name, or the
// host of the internet.
// address is host:port, an IP address, a CIDR or a DNS name; the most specific one counts. An address with a port also
// names a server of the test process itself, such as an httptest.Server that stands for a real service; without Peer,
// what the test process says to itself is no flow.
//
// name is a DNS label (RFC 1123) for pods in the namespace of whoever calls them, or a DNS name. It may end in the port at
// which the real peer serves, by which the policy then knows it, whatever the test dials:
//
//	netzerotest.Peer(srv.Listener.Addr().String(), "search:8080")
//	netzerotest.Peer(srv.Listener.Addr().String(), "search.shop.svc:8080")
//	netzerotest.Peer(srv.Listener.Addr().String(), "api.stripe.com:443")
//
// A DNS name with dots is a host of the internet, unless it can be nothing but a name of the cluster's ("search.shop.svc",
// see [ClusterDomain]) or the [Manifests] know it: with them "search.shop" is the Service search in namespace shop.
//
// A name of the API server's Service, in any form that pods use, is no pods but the cluster's API server: a server of the
// test that stands for it, or one that runs elsewhere. Without a port it is at 443, unless the test dials 6443 or 8443:
//
//	netzerotest.Peer(srv.Listener.Addr().String(), "kubernetes.default.svc:443")
//
// A child process that is kube-apiserver, as envtest starts it, is the API server without a Peer, and so is the address in
// KUBERNETES_SERVICE_HOST.
//
// A server of this machine that listens in the range of ephemeral ports (net.ipv4.ip_local_port_range) needs that port:
// the one that was dialled may be another in every run, so without it a flow there fails the test and is never written.
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

// Ignore leaves destinations out of the policy, and flows to them out of the verdict. An address is host:port, an IP
// address, a CIDR or a DNS name, which may begin with "*." for one or more labels. Without a port it leaves out all that goes
// there: pings and other packets without ports, and look-ups of the name that get no address.
//
// With [Driver], a container's name with a port leaves out what the test process opens there, and nothing else: a driver
// that looks into a database is no caller of it, the services that use it are.
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

// FoldNames says which external hosts come and go with a number or a name that somebody made up: a host whose name
// matches a pattern is written as the pattern, as if a person had edited the policy, so that the next such host needs no
// new one. Without it every host is written by its own name, and a pattern stands in a policy only where somebody put it.
//
// A pattern is a DNS name in lower case. A leading "*." stands for one or more labels, any other "*" for letters, digits
// and hyphens within its label: "*.blob.core.windows.net", "shard-*.db.example.net". Of several that match, the widest
// counts: that with the fewest characters beside asterisks, then the first in alphabetical order. In the dialect of
// [Cilium], where "*." is one label, a host with more of them is written with "**.".
//
// An update folds the names that a policy holds already, too. A pattern without an asterisk, or with one in its last label
// (such as "*"), is an error.
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
