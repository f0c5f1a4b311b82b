// Package identityrow holds a row of docs/identity.md as data, for the tests that replay the rows in a cluster.
//
// It refuses a file that it does not fully understand, as package recording does.
package identityrow

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/recording"
)

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

	Dials []Dial `json:"dials,omitempty"`

	// Recorded has no golden file. Its dialect is that of NetworkPolicies.
	Recorded recording.File `json:"recorded"`
}

// Dial is one connection attempt of a row.
type Dial struct {
	From     string `json:"from,omitempty"` // the alias of a container; empty for the test process
	Name     string `json:"name,omitempty"` // the DNS name that was looked up; empty where there was none
	Addr     string `json:"addr,omitempty"` // the IP address that was dialled; empty where the name had none
	Port     uint16 `json:"port,omitempty"`
	Protocol string `json:"protocol"` // as in [recording.Flow]
}

// Write writes the row to a file, as [recording.File.Write] does.
func (r Row) Write(path string) error {
	r.Version, r.Recorded.Version = recording.Version, recording.Version
	err := r.validate()
	if err == nil {
		err = recording.WriteJSON(path, r)
	}
	if err != nil {
		return fmt.Errorf("write row %s: %w", path, err)
	}
	return nil
}

// Read reads a file that [Row.Write] wrote, as [recording.Read] does.
func Read(path string) (Row, error) {
	var r Row
	err := recording.ReadJSON(path, &r)
	if err == nil {
		err = r.validate()
	}
	if err != nil {
		return Row{}, fmt.Errorf("read row %s: %w", path, err)
	}
	return r, nil
}

// validate returns an error if a dial or the recording cannot be converted to flows.
func (r Row) validate() error {
	for i, d := range r.Dials {
		if _, err := recording.ToProtocol(d.Protocol); err != nil {
			return fmt.Errorf("dial %d: %w", i, err)
		}
	}
	if err := r.Recorded.Validate(); err != nil {
		return fmt.Errorf("recorded: %w", err)
	}
	return nil
}
