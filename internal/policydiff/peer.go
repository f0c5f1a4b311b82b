package policydiff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// peerKind distinguishes the peers of rules by what they can match.
type peerKind string

const (
	everyone peerKind = "everyone" // a rule without peers
	pods     peerKind = "pods"
	// addresses are ranges, for hosts with any name or none. nameless are single addresses in a policy that lists names:
	// other hosts than the listed ones have no access by name. listed is one host of such a list.
	addresses peerKind = "addresses"
	nameless  peerKind = "nameless"
	listed    peerKind = "listed"
	name      peerKind = "name"    // toFQDNs
	entity    peerKind = "entity"  // toEntities
	beyond    peerKind = "beyond"  // what no selector matches, by an annotation
	reading   peerKind = "reading" // a name whose lookups Cilium may read
	lookup    peerKind = "lookup"  // an entry for a host's lookups
	entry     peerKind = "entry"   // an entry of another annotation
)

// peer is one peer of a rule in canonical form.
type peer struct {
	kind       peerKind
	pods       selector
	namespaces selector // of pods
	others     bool     // the selector also selects what is no pod
	name       string   // of a host, an entity or an entry, or a pattern
	lookups    string   // only lookups of names with this pattern; empty is everything
	requests   string   // only these HTTP requests, in words; empty is everything
}

// hasAddresses reports whether a peer is a host by its address, so that each address counts for itself.
func (p peer) hasAddresses() bool {
	return p.kind == addresses || p.kind == nameless || p.kind == listed
}

func (p peer) key() string {
	return fmt.Sprintf("%s\x00%s\x00%s\x00%t\x00%s\x00%s\x00%s", p.kind, p.pods, p.namespaces, p.others, p.name,
		p.lookups, p.requests)
}

// covers reports whether a peer matches everything that another one does, at an address that both contain. It may miss
// that, but never claims it wrongly.
func (p peer) covers(q peer) bool {
	if p.requests != "" {
		if p.requests != q.requests {
			return false
		}
		p.requests = ""
	}
	q.requests = ""
	if p.lookups != "" {
		unrestricted := q
		unrestricted.lookups = p.lookups
		return coversName(p.lookups, q.lookups) && p.equal(unrestricted)
	}
	q.lookups = ""
	switch p.kind {
	case everyone:
		return q.kind != reading && q.kind != entry
	case pods:
		return q.kind == pods && (p.others || !q.others) && p.pods.covers(q.pods) && p.namespaces.covers(q.namespaces)
	case addresses:
		return q.hasAddresses()
	case lookup:
		return q.kind == lookup && coversHost(p.name, q.name)
	case listed:
		return q.kind == listed && coversHost(p.name, q.name)
	case name, reading:
		return q.kind == p.kind && coversName(p.name, q.name)
	case entity:
		switch p.name {
		case cilium.World:
			return q.kind == name || q.hasAddresses() || q.kind == entity && q.name == p.name
		case cilium.Cluster, cilium.Mesh:
			inCluster := []string{cilium.Cluster, cilium.Mesh, cilium.Host, cilium.RemoteNode, cilium.APIServer}
			return q.kind == pods && !q.others || q.kind == entity && slices.Contains(inCluster, q.name)
		}
	}
	return p.equal(q)
}

func (p peer) equal(q peer) bool {
	return p.kind == q.kind && p.name == q.name && p.lookups == q.lookups && p.requests == q.requests &&
		p.others == q.others && slices.Equal(p.pods, q.pods) && slices.Equal(p.namespaces, q.namespaces)
}

// coversHost reports whether an entry of a list of names matches every host that another one does.
func coversHost(pattern, other string) bool {
	return pattern == other || pattern == everyName ||
		!strings.Contains(other, "*") && policy.MatchHost(pattern, other)
}

// coversName reports whether a name or pattern of Cilium matches every name that another one matches.
func coversName(pattern, other string) bool {
	switch {
	case pattern == other, pattern == everyName:
		return true
	case strings.Contains(other, "*") || !strings.Contains(pattern, "*"):
		return false
	}
	return cilium.FQDN{MatchPattern: pattern}.Matches(other)
}

// everyName is the pattern of Cilium for all names.
const everyName = "*"

// entityNames are the words for entities.
var entityNames = map[string]string{
	cilium.World: internet, cilium.Cluster: "everything in the cluster", cilium.Host: "the node",
	cilium.RemoteNode: "the other nodes", cilium.APIServer: "the API server",
}

// describe names a peer for a person, seen from a policy of a namespace. at are the addresses of a peer that has some.
func (p peer) describe(d policy.Direction, namespace, at string) string {
	text := p.name
	switch {
	case p.kind == everyone && d == policy.Ingress:
		text = "any caller"
	case p.kind == everyone:
		text = "any destination"
	case p.kind == pods:
		text = p.pods.name() + describeNamespaces(p.namespaces, namespace)
	case p.kind == addresses:
		text = at
	case p.kind == nameless:
		text = at + " by address"
	case p.kind == listed && at != "":
		text = p.name + " at " + at
	case p.kind == entity && entityNames[p.name] != "":
		text = entityNames[p.name]
	}
	if p.lookups != "" {
		text += " for lookups of " + p.lookups
	}
	if p.requests != "" {
		text += " with " + p.requests
	}
	return text
}
