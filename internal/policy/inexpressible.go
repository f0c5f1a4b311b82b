package policy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/internal/flow"
)

// inexpressible says why no rule of a direction can allow a flow and no other, or returns "" if one can.
func (s Scope) inexpressible(d direction, f flow.Flow) string {
	switch {
	case !f.Protocol.HasPorts():
		return fmt.Sprintf("a NetworkPolicy allows TCP, UDP and SCTP, it has no word for %s", f.Protocol)
	case f.Port == 0:
		return "a NetworkPolicy has no word for port 0"
	}
	switch far := d.far(f); {
	case far.Kind == flow.Workload:
		return s.unselectable(far)
	case d == egress && far.Kind == flow.External && !isHost(far.Name):
		return fmt.Sprintf("%q is no host name", far.Name)
	case far.Kind == flow.Address && !far.Addr.IsValid():
		return "the address is not known"
	case d == ingress && far.Kind == flow.External && !far.Addr.IsValid():
		return fmt.Sprintf("the address of %s is not known", far)
	case d == egress && (far.Kind < flow.Workload || far.Kind > flow.Address):
		return "the destination is of no known kind"
	case d == ingress && (far.Kind < flow.External || far.Kind > flow.Anyone):
		return "the source is of no known kind"
	}
	return ""
}

// unselectable says why no selector can be for a workload, or returns "" if one can.
func (s Scope) unselectable(e flow.Endpoint) string {
	w, _ := s.workload(e)
	if e.Name == "" {
		return fmt.Sprintf("the workload name %q cannot be a label", e.Name)
	}
	if len(validation.IsValidLabelValue(w.Namespace)) > 0 {
		return fmt.Sprintf("%q cannot be a namespace", w.Namespace)
	}
	for key, value := range w.selecting() {
		if len(validation.IsValidLabelValue(value)) == 0 && len(validation.IsQualifiedName(key)) == 0 {
			continue
		}
		if value == e.Name {
			return fmt.Sprintf("the workload name %q cannot be a label", e.Name)
		}
		return fmt.Sprintf("the labels of %s cannot be ones", e)
	}
	return ""
}
