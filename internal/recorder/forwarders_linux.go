package recorder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// forwarders are programs that listen on a developer's machine and pass on what they are sent to pods or hosts
// elsewhere. No pods go by their names.
var forwarders = []string{
	"autossh", "cloud-sql-proxy", "cloud_sql_proxy", "devspace", "k9s", "kubectl", "kubefwd", "ktctl", "minikube", "oc", "okteto",
	"session-manager-plugin", "skaffold", "socat", "ssh", "telepresence", "tilt", "tsh",
}

// isForwarder reports whether an executable is one of them, or a plugin of kubectl's.
func isForwarder(executable string) bool {
	return slices.Contains(forwarders, executable) || strings.HasPrefix(executable, "kubectl-")
}

// forwarderLines says, in a line each, which flows go to a program that forwards them, so that nobody knows to whom,
// and what to do.
func (r *resolution) forwarderLines(all []attributedFlow) []string {
	var lines []string
	for _, f := range all {
		if f.identity.Relation != endpoint.Other || f.flow.Destination.Evidence != flow.ByListener || f.identity.Test ||
			!isForwarder(f.identity.Listener.Name) || r.options.Ignored.Has(f.flow) {
			continue
		}
		line := fmt.Sprintf("%s is %s, which forwards to somebody else, and no pods are called so: say whom it stands for: Peer(\"localhost:%d\", \"name%s\")",
			f.flow.Target(), f.identity.Listener.Name, f.event.Key.Port, endpoint.ExamplePort)
		if !slices.Contains(lines, line) { // from another source
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
