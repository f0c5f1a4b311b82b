package recording

// Options are the options of a test on which its policies depend, besides its manifests.
type Options struct {
	Cilium         bool       `json:"cilium,omitempty"`         // CiliumNetworkPolicies instead of NetworkPolicies
	FoldNames      []string   `json:"foldNames,omitempty"`      // patterns: "shard-*.db.example.net"
	Ports          []string   `json:"ports,omitempty"`          // "ftp:30000-30009/TCP"
	Binaries       bool       `json:"binaries,omitempty"`       // policies list programs
	Requests       bool       `json:"requests,omitempty"`       // policies list requests
	FoldPaths      []string   `json:"foldPaths,omitempty"`      // patterns: "/customers/{name}"
	CloseIngress   bool       `json:"closeIngress,omitempty"`   // containers without callers are isolated for ingress
	DefaultDeny    bool       `json:"defaultDeny,omitempty"`    // default-deny-all in each namespace
	Resolvers      []Resolver `json:"resolvers,omitempty"`      // the cluster's DNS; none means kube-dns
	ClusterDomains []string   `json:"clusterDomains,omitempty"` // besides cluster.local
	Ignore         []string   `json:"ignore,omitempty"`         // destinations: "*.vendor.example", "10.0.0.0/8:53"
	Driver         bool       `json:"driver,omitempty"`         // the test process is no workload
}

// Resolver is a place of the cluster's DNS: the pods with Labels in Namespace, or Addresses.
type Resolver struct {
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Addresses string            `json:"addresses,omitempty"` // a CIDR
	Ports     []uint16          `json:"ports,omitempty"`     // none means 53
}
