// Package manifest reads Kubernetes manifests for the labels, namespaces and ports of real workloads, and finds by name
// the pods that a policy has to select.
//
// It reads Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, CronJob, Pod, Service, Endpoints,
// EndpointSlice and Namespace, and what makes pods like a Deployment does: Argo's Rollout, OpenShift's DeploymentConfig and
// OpenKruise's CloneSet; in YAML, JSON or JSON lines, in several documents and in lists. Other kinds are passed over, and so
// is what has a generateName only: no test knows its name. It refuses to
// guess: templates and kustomizations that would change names or labels, objects that the API server would not take, a
// misspelt field that would change what is read, and two versions of one object are errors that name file, document and
// line; a name that fits several workloads is an error that says so. A Service that picks the pods of no workload stands
// for pods that an operator makes, and the match has a notice.
//
// Limits: it sees only what the files say, not what an admission webhook, a controller or `kubectl apply -n` adds to
// it. A field that is unknown to this release of the Kubernetes API, and resembles none that is read, is passed over.
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

// Set is what the manifests say. It never changes, and several goroutines may ask it.
type Set struct {
	workloads  []*workload
	services   []*service
	backings   []*backing
	namespaces []*namespace
}

// Match is the pods, or the host or addresses, that go by a name.
type Match struct {
	Kind      string // "Service", "Deployment", ...
	Name      string
	Namespace string // as it is written; empty where the manifest names none

	// Selector is the labels by which a rule selects the pods as a destination: for a Service its selector, for a
	// workload its Own. Never empty, unless there are no pods. Labels that Kubernetes generates are not among them, nor
	// those that name a release or a run, unless nothing else identifies the pods.
	Selector map[string]string
	// Labels is all labels of the pods, but those that Kubernetes generates. Where a Service picks several workloads, it
	// is what the pods that serve its ports have in common.
	Labels map[string]string
	// Own is the labels by which the workload's own policy selects its pods, and a rule selects them as a source: the
	// workload's own spec.selector.matchLabels, with labels of its template where those pick other workloads' pods too. A
	// Service goes by the workload of its name, else by those that serve its ports. It is empty where Selector is.
	Own map[string]string
	// OwnLabels is Labels of the pods that Own is for.
	OwnLabels map[string]string

	// Notice is what a person should know who uses the match, in one line; empty where there is nothing. OwnNotice is the
	// same for the workload's own policy.
	Notice, OwnNotice string

	File string // relative to the directory that was read, with slashes
	Line int    // where the object begins

	HostNetwork bool // the pods use the network of their nodes, where no selector finds them

	ExternalName string    // the host that a Service of type ExternalName stands for
	Addresses    []Address // what a Service without a selector stands for, by its Endpoints and EndpointSlices

	pods    []*workload
	ports   []Port
	targets []target
	nodes   []nodePort
	others  []portKey // where other Services send their clients in these pods
	unknown bool      // what ports the pods have
	direct  bool      // nothing stands between a client and the port it asks for
}

// Address is an endpoint that a manifest writes down.
type Address struct {
	Addr     netip.Addr
	Port     uint16 // 0 stands for every port
	Protocol flow.Protocol
}

// Port is a port that a container of the pods declares.
type Port struct {
	Container string
	Name      string // empty where it has none
	Number    uint16
	Protocol  flow.Protocol
}

// String returns kind and name as kubectl's users say them, and where the object is written:
// "Service orders-db in namespace shop (deploy/orders.yaml:12)".
func (m Match) String() string {
	return describe(m.Kind, m.Name, m.Namespace) + fmt.Sprintf(" (%s:%d)", m.File, m.Line)
}

// origin is where an object is written.
type origin struct {
	file     string
	document int
	line     int
}

// identity is what tells the objects of a cluster apart.
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
	selector    map[string]string // matchLabels, without what is generated
	labels      map[string]string // of the pods, without what is generated
	ports       []Port
	hostPorts   []nodePort
	hostNetwork bool
	owner       identity   // of an object that a controller made
	makers      []identity // what may have made the owner, or an object that does not say its owner
	hook        bool       // of a deployment tool, and gone when it has done its work; a Helm test is one
	test        bool       // a Helm test, which runs when somebody asks for it
	job         string     // the name of the Job whose pods these are, where the manifests say it
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
	node   uint16 // the nodePort; 0 where the cluster chooses one, or there is none
}

// backing is the addresses of one Endpoints subset or EndpointSlice.
type backing struct {
	identity
	origin
	service   string // the name of the Service that it belongs to; empty for an EndpointSlice that belongs to none
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

// labelText writes labels as kubectl takes them: "app=orders-db,tier=db".
func labelText(labels map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ",")
}
