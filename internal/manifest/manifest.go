// Package manifest reads the labels, namespaces and ports of workloads from Kubernetes manifests, and finds the pods
// that a policy has to select by name.
//
// It reads Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob, Pod, Service,
// Endpoints, EndpointSlice and Namespace, and kinds that create pods like a Deployment: Argo's Rollout, OpenShift's
// DeploymentConfig and OpenKruise's CloneSet; in YAML, JSON or JSON lines, in several documents and in lists. It skips
// other kinds. An object with only a generateName cannot be found by name. The package does not guess. Templates and
// kustomizations that would change names or labels, objects that the API server would reject, misspelt fields that
// would change the result, and two versions of one object are errors with file, document and line. A name that matches
// several workloads is an error that lists them. A Service that selects the pods of no workload stands for pods that an
// operator creates, and its match has a notice.
//
// Limits: it sees only the files, not the additions of an admission webhook, a controller or `kubectl apply -n`. It
// skips fields that this release of the Kubernetes API does not know and that resemble no known one.
package manifest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Set is the content of the manifests. It is immutable, and safe for concurrent use.
type Set struct {
	workloads  []*workload
	services   []*service
	backings   []*backing
	namespaces []*namespace
}

// Match is the pods, the host or the addresses that a name stands for.
type Match struct {
	Kind      string // "Service", "Deployment", ...
	Name      string
	Namespace string // as written; empty if the manifest has none

	// Selector is the labels with which a rule selects the pods as a destination: for a Service its selector, for a
	// workload its Own. It is never empty, unless there are no pods. It contains no labels that Kubernetes generates,
	// and labels that name a release or a run only if nothing else identifies the pods.
	Selector map[string]string
	// Labels is all labels of the pods except those that Kubernetes generates. If a Service selects several workloads,
	// it is the labels that the pods serving its ports share.
	Labels map[string]string
	// Own is the labels with which the workload's own policy selects its pods, and a rule selects them as a source: the
	// workload's own spec.selector.matchLabels, plus labels of its template if those match other workloads' pods too.
	// For a Service it is that of the workload with the same name, otherwise that of the workloads serving its ports.
	// It is empty if Selector is.
	Own map[string]string
	// OwnLabels is Labels of the pods of Own.
	OwnLabels map[string]string

	// Notice is a one-line warning about the match; empty if there is none. OwnNotice is the same for the workload's
	// own policy.
	Notice, OwnNotice string

	File string // relative to the directory that was read, with slashes
	Line int    // where the object begins

	HostNetwork bool // the pods use their nodes' network, where no selector finds them

	ExternalName string    // the host of a Service of type ExternalName
	Addresses    []Address // the destinations of a Service without a selector, from its Endpoints and EndpointSlices

	pods    []*workload
	ports   []Port
	targets []target
	nodes   []nodePort
	others  []portKey // target ports of other Services in these pods
	unknown bool      // the pods' ports are unknown
	direct  bool      // no port translation between a client and the pods
}

// Address is an endpoint in a manifest.
type Address struct {
	Addr     netip.Addr
	Port     uint16 // 0 means every port
	Protocol flow.Protocol
}

// Port is a port that a container of the pods declares.
type Port struct {
	Container string
	Name      string // empty if it has none
	Number    uint16
	Protocol  flow.Protocol
}

// String returns kind and name as kubectl's users write them, and the object's place: "Service orders-db in namespace
// shop (deploy/orders.yaml:12)".
func (m Match) String() string {
	return describe(m.Kind, m.Name, m.Namespace) + fmt.Sprintf(" (%s:%d)", m.File, m.Line)
}

// origin is the place of an object.
type origin struct {
	file     string
	document int
	line     int
}

// identity identifies an object of a cluster.
type identity struct{ kind, name, namespace string }

func (i identity) String() string { return describe(i.kind, i.name, i.namespace) }

func describe(kind, name, namespace string) string {
	if namespace == "" {
		return kind + " " + name
	}
	return kind + " " + name + " in namespace " + namespace
}

// workload is an object with pods, or a pod.
type workload struct {
	identity
	origin
	selector       map[string]string // matchLabels, without generated labels
	labels         map[string]string // of the pods, without generated labels
	ports          []Port
	hostPorts      []nodePort
	hostNetwork    bool
	owner          identity   // of an object that a controller made
	possibleOwners []identity // possible makers of the owner, or of an object without a written owner
	hook           bool       // of a deployment tool, short-lived; includes Helm tests
	test           bool       // a Helm test, which runs on request
	job            string     // the name of the pods' Job, if the manifests contain it
}

// service is a Service.
type service struct {
	identity
	origin
	selector     map[string]string
	headless     bool
	externalName string
	ports        []servicePort
}

type servicePort struct {
	name   string
	key    portKey
	target intstr.IntOrString
	node   uint16 // the nodePort; 0 if the cluster chooses one, or there is none
}

// backing is the addresses of one Endpoints subset or EndpointSlice.
type backing struct {
	identity
	origin
	service   string // the name of its Service; empty for an EndpointSlice without one
	addresses []netip.Addr
	ports     []backingPort
}

type backingPort struct {
	name string
	key  portKey
}

type portKey struct {
	number   uint16
	protocol flow.Protocol
}

func (k portKey) String() string { return fmt.Sprintf("%d/%s", k.number, k.protocol) }

// labelText writes labels in kubectl's syntax: "app=orders-db,tier=db".
func labelText(labels map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ",")
}
