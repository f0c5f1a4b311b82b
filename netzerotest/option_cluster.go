package netzerotest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
)

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
		if !slices.Contains(c.clusterDomains, name) {
			c.clusterDomains = append(c.clusterDomains, name)
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
	return optionFunc(func(c *config) error {
		if len(places) == 0 {
			return errors.New("Resolver: no place: give the labels and the namespace of the pods, or addresses")
		}
		var errs []error
		for _, place := range places {
			resolvers, err := place.resolvers()
			if err != nil {
				errs = append(errs, fmt.Errorf("Resolver: %w", err))
			}
			c.resolvers = append(c.resolvers, resolvers...)
		}
		return errors.Join(errs...)
	})
}

// resolvers returns the place in the form that policies use.
func (d DNS) resolvers() ([]policy.Resolver, error) {
	switch {
	case len(d.Labels) == 0 && len(d.Addresses) == 0:
		return nil, errors.New("a place has neither labels nor addresses: say which pods, or which addresses")
	case len(d.Labels) > 0 && len(d.Addresses) > 0:
		return nil, errors.New("a place has labels and addresses: make two of it")
	case len(d.Addresses) > 0 && d.Namespace != "":
		return nil, fmt.Errorf("addresses %s have namespace %q: leave it out", strings.Join(d.Addresses, ", "), d.Namespace)
	case slices.Contains(d.Ports, 0):
		return nil, errors.New("a place has port 0: ports go from 1 to 65535")
	}
	if len(d.Labels) > 0 {
		if err := endpoint.CheckLabel(d.Namespace); err != nil {
			return nil, fmt.Errorf("the namespace of pods %v: %w", d.Labels, err)
		}
		if err := policy.CheckLabels(d.Labels); err != nil {
			return nil, err
		}
		return []policy.Resolver{{Namespace: d.Namespace, Labels: maps.Clone(d.Labels), Ports: slices.Clone(d.Ports)}}, nil
	}
	var all []policy.Resolver
	for _, text := range d.Addresses {
		prefix, err := endpoint.ParseAddresses(text)
		if err != nil {
			return nil, fmt.Errorf("address %q %w", text, err)
		}
		all = append(all, policy.Resolver{Addresses: prefix, Ports: slices.Clone(d.Ports)})
	}
	return all, nil
}
