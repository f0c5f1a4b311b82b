package recording

// Row is a row of docs/identity.md as data: what was dialled, and the policies that came of it.
type Row struct {
	Version   int    `json:"version"`             // of the format; Write fills it in
	Row       string `json:"row"`                 // what was dialled and what is known about it, separated by " | "
	Red       bool   `json:"red,omitempty"`       // the test fails, and no policy is written
	Namespace string `json:"namespace,omitempty"` // of the test's own workload; empty where it has none
	Manifests string `json:"manifests,omitempty"` // YAML

	// NetworkPolicies and Cilium are the text of the golden file in each dialect. Both are empty where Red is set.
	NetworkPolicies string `json:"networkPolicies,omitempty"`
	Cilium          string `json:"cilium,omitempty"`

	Dials     []Dial `json:"dials,omitempty"`
	Recording File   `json:"recording"` // with NetworkPolicies as the dialect
}

// Dial is an attempt of a row to reach somebody.
type Dial struct {
	From     string `json:"from,omitempty"` // the alias of a container; empty for the test process
	Name     string `json:"name,omitempty"` // the DNS name that was looked up; empty where there was none
	Addr     string `json:"addr,omitempty"` // the IP address that was dialled; empty where the name had none
	Port     uint16 `json:"port,omitempty"`
	Protocol string `json:"protocol"` // as in [Flow]
}
