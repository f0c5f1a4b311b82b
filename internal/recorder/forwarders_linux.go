package recorder

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// forwarders are programs that listen on a developer's machine and forward to pods or hosts elsewhere. No pod is named
// after them.
var forwarders = []string{
	"autossh", "cloud-sql-proxy", "cloud_sql_proxy", "devspace", "k9s", "kubectl", "kubefwd", "ktctl", "minikube", "oc", "okteto",
	"session-manager-plugin", "skaffold", "socat", "ssh", "telepresence", "tilt", "tsh",
}

// isForwarder reports whether an executable is a forwarder, or a plugin of kubectl.
func isForwarder(executable string) bool {
	return slices.Contains(forwarders, executable) || strings.HasPrefix(executable, "kubectl-")
}

// forwarderLines returns one line for each flow to a forwarder: the real destination is unknown, so the user has to
// name it.
func (r *resolution) forwarderLines(all []attributedFlow) []string {
	var lines []string
	for _, f := range all {
		if f.identity.Relation != endpoint.Other || f.flow.Destination.Evidence != flow.ByListener || f.identity.Test ||
			!isForwarder(f.identity.Listener.Name) || r.options.Ignored.Has(f.flow) {
			continue
		}
		line := fmt.Sprintf("%s is %s, which forwards to somebody else, and no pods are called so: say whom it stands for: Peer(\"localhost:%d\", \"name%s\")",
			f.flow.Target(), f.identity.Listener.Name, f.event.Key.Port, endpoint.ExamplePort)
		if !slices.Contains(lines, line) { // the same target from another source
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}
