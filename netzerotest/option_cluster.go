package netzerotest

import (
	"fmt"
	"slices"

	"github.com/netzero-dev/netzero/internal/endpoint"
)

// ClusterDomain says that names below a domain are those of a cluster: with "k8s.example.com" the name
// "orders-db.shop.svc.k8s.example.com" is the Service orders-db in namespace shop, and not a host of the internet. It may be
// given several times. The default is cluster.local, which always counts, as do domains that the resolver of the process
// searches as a pod's does, and those that no host of the internet can have (one label, or below .local, .internal, .lan,
// .localdomain and .test). A domain that is no DNS name is an error.
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
