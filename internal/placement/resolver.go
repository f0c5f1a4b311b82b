package placement

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/policy"
)

// DNS is one value of the option Resolver: a place where the cluster's DNS listens. It is either the pods with Labels
// in Namespace, or Addresses: IP addresses and CIDRs.
type DNS struct {
	Namespace string
	Labels    map[string]string
	Addresses []string
	Ports     []uint16
}

// Resolvers returns the place as policies express it, with one resolver for each address. It returns an error for a
// place with neither labels nor addresses or with both, labels without a namespace, an invalid address and port 0.
func (d DNS) Resolvers() ([]policy.Resolver, error) {
	switch {
	case len(d.Labels) == 0 && len(d.Addresses) == 0:
		return nil, errors.New("a place has neither labels nor addresses: say which pods, or which addresses")
	case len(d.Labels) > 0 && len(d.Addresses) > 0:
		return nil, errors.New("a place has labels and addresses: write two places")
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
