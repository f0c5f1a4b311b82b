package recorder

import (
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// forwarders are programs that listen on a developer's machine and forward to pods or hosts elsewhere. No pod is named
// after them.
var forwarders = []string{
	"autossh", "cloud-sql-proxy", "cloud_sql_proxy", "devspace", "k9s", "kubectl", "kubefwd",
	"ktctl", "minikube", "oc", "okteto",
	"session-manager-plugin", "skaffold", "socat", "ssh", "telepresence", "tilt", "tsh",
}

// isForwarder reports whether an executable is a forwarder, or a plugin of kubectl.
func isForwarder(executable string) bool {
	return slices.Contains(forwarders, executable) || strings.HasPrefix(executable, "kubectl-")
}

// forwarderNotices returns one notice for each flow to a forwarder: the real destination is unknown, so the user has to
// name it.
func (s *resolution) forwarderNotices(all []resolvedFlow) []recording.Notice {
	var notices []recording.Notice
	for _, f := range all {
		if f.identity.Relation != endpoint.Other || f.flow.Destination.Evidence != flow.ByListener || f.identity.Test ||
			!isForwarder(f.identity.Listener.Name) || s.options.Ignored.Has(f.flow) {
			continue
		}
		notice := recording.Noticef(recording.CodeForwarder,
			"%s is %s, which forwards to another destination, and no pods have its name: name the destination: "+
				"Peer(\"localhost:%d\", \"name%s\")",
			f.flow.Target(), f.identity.Listener.Name, f.event.Key.Port, endpoint.ExamplePort)
		if !slices.Contains(notices, notice) { // the same target from another source
			notices = append(notices, notice)
		}
	}
	slices.SortFunc(notices, recording.Notice.Compare)
	return notices
}
