package endpoint

import (
	"bytes"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// apiServicePort is the port of the API server's Service.
const apiServicePort = 443

// apiServerProgram is the executable of the API server, also of envtest's.
const apiServerProgram = "kube-apiserver"

// IsAPIServerProgram reports whether an executable, by its file name, is the API server.
func IsAPIServerProgram(name string) bool { return name == apiServerProgram }

// IsAPIServerName reports whether a DNS name is that of the API server's Service, in any form that pods use:
// "kubernetes", "kubernetes.default", "kubernetes.default.svc", the last one with any cluster domain, and each with the
// prefix "_https._tcp.".
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

// apiServer returns the API server at an address. If it is known by the bare name of its Service, it has no namespace:
// pods look that name up in their own namespace, which may have another Service of that name.
func apiServer(name string, addr netip.Addr, evidence flow.Evidence) flow.Endpoint {
	e := flow.ClusterAPIServer
	e.Addr, e.Evidence = addr, evidence
	if name == e.Name {
		e.Namespace = ""
	}
	return e
}

// isConfigured reports whether the address and port are those that the environment of the connecting process has for
// the API server, as in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. For this process the current
// environment counts, not the one at its start.
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
	if pid != 0 && pid != self {
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil || !bytes.Contains(environ, []byte(serviceHost+"=")) {
			return netip.AddrPort{}
		}
		return APIServerIn(strings.Split(string(environ), "\x00"))
	}
	return parseConfigured(os.Getenv(serviceHost), os.Getenv(servicePort))
}

// APIServerIn returns the address of the API server in an environment such as that of a pod; the zero value if it has
// none.
func APIServerIn(environment []string) netip.AddrPort {
	lookup := func(name string) (value string) {
		for _, v := range environment {
			if key, text, _ := strings.Cut(v, "="); key == name {
				value = text
			}
		}
		return value
	}
	return parseConfigured(lookup(serviceHost), lookup(servicePort))
}

// The variables of pods with the address of the API server.
const (
	serviceHost = "KUBERNETES_SERVICE_HOST"
	servicePort = "KUBERNETES_SERVICE_PORT"
)

// UseEnvironment makes a destination the API server if the environment of its client has that address, and reports
// whether it has. It stands for the environment of Query.PID, which is not readable for another user's process without
// CAP_SYS_PTRACE. A Peer with a port comes first here, too.
func (i *Identity) UseEnvironment(environment []string, protocol flow.Protocol, addr netip.Addr, port uint16) bool {
	at := APIServerIn(environment)
	if protocol != flow.TCP || !at.IsValid() || at != netip.AddrPortFrom(normal(addr), port) || i.Peer.Exact() {
		return false
	}
	*i = Identity{
		Endpoint: apiServer("", at.Addr(), flow.ByEnvironment), Port: port, Relation: Other, Local: i.Local,
		Listener: i.Listener,
	}
	if i.Local {
		i.Port = APIServerPort(port)
	}
	return true
}

// parseConfigured parses the two variables. The default port is that of the Service.
func parseConfigured(host, port string) netip.AddrPort {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{} // empty, or a name, which DNS resolves
	}
	number := uint64(apiServicePort)
	if port != "" {
		if number, err = strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return netip.AddrPort{}
		}
	}
	return netip.AddrPortFrom(normal(addr), uint16(number))
}

// APIServerPort returns the port of an API server in a policy, for one that listens at a port of this machine: the same
// port if API servers use it in clusters, otherwise that of their Service.
func APIServerPort(port uint16) uint16 {
	if hasAPIServerPort(port) {
		return port
	}
	return apiServicePort
}

// hasAPIServerPort reports whether API servers use a port: that of their Service, which managed clusters use too, that
// of kubeadm, k3s, kind and OpenShift, or that of minikube.
func hasAPIServerPort(port uint16) bool {
	return port == apiServicePort || port == 6443 || port == 8443
}

// parseAPIServer parses the second argument of a Peer if it is the API server: a name of its Service with an optional
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
