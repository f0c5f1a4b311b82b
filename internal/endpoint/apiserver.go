package endpoint

import (
	"bytes"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// apiServicePort is the port of the Service behind which every API server is.
const apiServicePort = 443

// apiServerProgram is the executable of the API server, which envtest starts too.
const apiServerProgram = "kube-apiserver"

// IsAPIServerProgram reports whether an executable, by its file name, is the API server.
func IsAPIServerProgram(name string) bool { return name == apiServerProgram }

// IsAPIServerName reports whether a DNS name is that of the API server's Service, in any form in which pods look it
// up: "kubernetes", "kubernetes.default", "kubernetes.default.svc", that with any cluster domain, and "_https._tcp."
// before them.
func IsAPIServerName(name string) bool {
	labels := strings.Split(canonicalName(name), ".")
	for len(labels) > 1 && strings.HasPrefix(labels[0], "_") {
		labels = labels[1:]
	}
	service := []string{flow.ClusterAPIServer.Name, flow.ClusterAPIServer.Namespace, "svc"}
	for i, label := range labels {
		if i < len(service) && label != service[i] {
			return false
		}
	}
	return true
}

// apiServer returns the API server at an address. One that goes by the name of its Service alone has no namespace:
// that is the caller's, and there may be another Service of that name.
func apiServer(name string, addr netip.Addr, evidence flow.Evidence) flow.Endpoint {
	e := flow.ClusterAPIServer
	e.Addr, e.Evidence = addr, evidence
	if name == e.Name {
		e.Namespace = ""
	}
	return e
}

// isConfigured reports whether an address and port are those at which pods find the API server by their environment:
// KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT of the process that connects. What this process has set since
// it started counts for it.
func (b *Batch) isConfigured(q Query, addr netip.Addr) bool {
	if q.Protocol != flow.TCP {
		return false
	}
	at, known := b.configured[q.PID]
	if !known {
		at = configuredFor(q.PID, b.id.config.Self)
		if b.configured == nil {
			b.configured = make(map[int]netip.AddrPort)
		}
		b.configured[q.PID] = at
	}
	return at.IsValid() && at == netip.AddrPortFrom(addr, q.Port)
}

func configuredFor(pid, self int) netip.AddrPort {
	lookup := os.Getenv
	if pid != 0 && pid != self {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil || !bytes.Contains(environ, []byte("KUBERNETES_SERVICE_HOST=")) {
			return netip.AddrPort{}
		}
		lookup = func(name string) (value string) {
			for v := range strings.SplitSeq(string(environ), "\x00") {
				if key, text, _ := strings.Cut(v, "="); key == name {
					value = text
				}
			}
			return value
		}
	}
	return parseConfigured(lookup("KUBERNETES_SERVICE_HOST"), lookup("KUBERNETES_SERVICE_PORT"))
}

// parseConfigured reads the two variables. A missing port is that of the Service.
func parseConfigured(host, port string) netip.AddrPort {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{} // none, or a name, which DNS knows
	}
	number := uint64(apiServicePort)
	if port != "" {
		if number, err = strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return netip.AddrPort{}
		}
	}
	return netip.AddrPortFrom(normal(addr), uint16(number))
}

// APIServerPort returns the port by which a policy knows an API server that listens at a port of this machine: that
// one, where API servers have it in clusters, else that of their Service.
func APIServerPort(port uint16) uint16 {
	if hasAPIServerPort(port) {
		return port
	}
	return apiServicePort
}

// hasAPIServerPort reports whether API servers listen at a port: that of their Service, which managed clusters have
// too, that of kubeadm, k3s, kind and OpenShift, and that of minikube.
func hasAPIServerPort(port uint16) bool {
	return port == apiServicePort || port == 6443 || port == 8443
}

// parseAPIServer parses the second argument of a Peer that is the API server: a name of its Service, and perhaps a
// port.
func parseAPIServer(s string) (peer Peer, isAPIServer bool, err error) {
	name, _, _ := strings.Cut(s, ":")
	if !IsAPIServerName(name) {
		return Peer{}, false, nil
	}
	peer = Peer{Name: flow.ClusterAPIServer.Name, APIServer: true}
	_, peer.PodPort, err = parseNamePort(flow.ClusterAPIServer.Name + s[len(name):])
	return peer, true, err
}
