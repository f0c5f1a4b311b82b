package hubble

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// place is where an end of an event is.
type place uint8

const (
	unknown      place = iota // Hubble had no labels for the address
	inPod                     // a pod
	onNodes                   // pods on the network of their nodes, in flows that Write wrote
	asNode                    // a named process of a node, in flows that Write wrote
	ownNode                   // the node that reported the event
	otherNode                 // another node
	apiServer                 // the API server of the cluster
	ownAPIServer              // the same, on the node that reported the event
	world                     // outside of the cluster
	resolver                  // the Service of the cluster's DNS
	serviceIP                 // another Service, before its address was translated
	ofCilium                  // the endpoint of Cilium's health checks
	ofProxy                   // the proxy of Cilium's Ingress and Gateway API
)

// isWorkload reports whether the end has a workload's name.
func (p place) isWorkload() bool { return p == inPod || p == onNodes || p == asNode }

func (p place) isAPIServer() bool { return p == apiServer || p == ownAPIServer }

// end is one end of an event, as a key: the address is that of ends without a workload.
type end struct {
	place place
	pod   pod
	addr  netip.Addr
}

// pod identifies a pod. labels is set only if Hubble had no name for it.
type pod struct{ namespace, name, labels string }

const (
	kubernetes = cilium.KubernetesSource
	reserved   = "reserved:"
	dnsPort    = 53
)

// reservedIdentities are Cilium's names for the identities that have a meaning here, by number.
var reservedIdentities = map[number]string{
	1: cilium.Host, 2: cilium.World, 3: "unmanaged", 4: "health", 5: "init", 6: cilium.RemoteNode, 7: cilium.APIServer,
	8: "ingress", 9: "world-ipv4", 10: "world-ipv6",
}

// placeOf returns the place of an end that is not a Service. The labels of the API server have that of a node or the
// world beside them.
func placeOf(e *endpoint) place {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool {
			return slices.Contains(e.Labels, reserved+name) || reservedIdentities[e.Identity] == name
		})
	}
	named := len(e.Workloads) > 0
	switch {
	case has(cilium.APIServer) && has(cilium.Host):
		return ownAPIServer
	case has(cilium.APIServer):
		return apiServer
	case has(cilium.Host) && named:
		return asNode
	case has(cilium.RemoteNode) && named:
		return onNodes
	case has(cilium.Host):
		return ownNode
	case has(cilium.RemoteNode):
		return otherNode
	case has("health"):
		return ofCilium
	case has("ingress"):
		return ofProxy
	case has(cilium.World, "world-ipv4", "world-ipv6"):
		return world
	case e.PodName != "" || named || slices.ContainsFunc(e.Labels, isOfPod):
		return inPod
	case slices.ContainsFunc(e.Labels, isOfWorld):
		return world
	}
	return unknown
}

func isOfPod(label string) bool { return strings.HasPrefix(label, kubernetes) }

// isOfWorld reports whether a label is that of a range of addresses or of a name, which Cilium gives to the world.
func isOfWorld(label string) bool {
	return strings.HasPrefix(label, "cidr:") || strings.HasPrefix(label, "fqdn:")
}

// end returns an end of an event, and remembers what the event says about its workload.
func (r *reader) end(e *endpoint, address string) (end, error) {
	if e == nil {
		e = &endpoint{}
	}
	var addr netip.Addr
	if address != "" {
		var err error
		if addr, err = netip.ParseAddr(address); err != nil {
			return end{}, fmt.Errorf("IP: %w", err)
		}
		addr = addr.Unmap()
	}
	at := end{place: placeOf(e), addr: addr}
	if !at.place.isWorkload() {
		return at, nil
	}
	labels := podLabels(e.Labels)
	at.pod = pod{namespace: cmp.Or(e.Namespace, labels[cilium.NamespaceLabel]), name: e.PodName}
	if at.pod.name == "" {
		sorted := slices.Sorted(slices.Values(e.Labels))
		at.pod.labels = strings.Join(sorted, ",")
	}
	at.addr = netip.Addr{}
	r.learn(at, e, labels, addr)
	return at, nil
}

// podLabels returns the labels that Kubernetes gave a pod, and the label of its namespace.
func podLabels(labels []string) map[string]string {
	all := make(map[string]string)
	for _, label := range labels {
		text, isKubernetes := strings.CutPrefix(label, kubernetes)
		if key, value, _ := strings.Cut(text, "="); isKubernetes && !strings.HasPrefix(key, "io.cilium.k8s.") {
			all[key] = value
		}
	}
	return all
}

// known is what events say about a pod.
type known struct {
	workload string // empty if no event named it
	labels   map[string]string
	addr     netip.Addr // the lowest
}

// learn remembers what an event says about a pod. A pod of another node has no workload, and one that was just started
// no labels.
func (r *reader) learn(at end, e *endpoint, labels map[string]string, addr netip.Addr) {
	k := r.pods[at]
	if k == nil {
		k = &known{}
		r.pods[at] = k
	}
	if len(e.Workloads) > 0 {
		k.workload = e.Workloads[0].owner()
	}
	delete(labels, cilium.NamespaceLabel)
	if len(labels) > 0 {
		k.labels = inCommon(k.labels, labels)
	}
	if addr.IsValid() {
		if !k.addr.IsValid() || addr.Less(k.addr) {
			k.addr = addr
		}
		if at.place == inPod {
			r.podAt[addr] = at
		}
	}
}

// inCommon returns the labels that both have. No labels at all means that they are not known.
func inCommon(a, b map[string]string) map[string]string {
	if a == nil {
		return b
	}
	both := make(map[string]string)
	for key, value := range a {
		if got, ok := b[key]; ok && got == value {
			both[key] = value
		}
	}
	return both
}

// Controllers name pods: a Deployment <name>-<hash>-<random>, a DaemonSet or a Job <name>-<random>, a CronJob
// <name>-<minutes>-<random>, a StatefulSet <name>-<ordinal>. Hashes and random parts consist of
// k8s.io/apimachinery/pkg/util/rand's characters, without vowels.
var (
	randomPart = regexp.MustCompile(`^(.+)-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	hashPart   = regexp.MustCompile(`^(.+)-(?:[bcdfghjklmnpqrstvwxz2456789]{6,10}|[0-9]{8,10})$`)
	ordinal    = regexp.MustCompile(`^(.+)-[0-9]{1,4}$`)
)

// workloadOf returns the name of the workload of a pod, from the pod's name.
func workloadOf(podName string) string {
	if m := randomPart.FindStringSubmatch(podName); m != nil {
		if owner := hashPart.FindStringSubmatch(m[1]); owner != nil {
			return owner[1]
		}
		return m[1]
	}
	if m := ordinal.FindStringSubmatch(podName); m != nil {
		return m[1]
	}
	return podName
}

// owner returns the name of a workload, or of the Deployment or CronJob that made it. Hubble does not always know the
// latter.
func (w workload) owner() string {
	if w.Kind == "ReplicaSet" || w.Kind == "Job" {
		if m := hashPart.FindStringSubmatch(w.Name); m != nil {
			return m[1]
		}
	}
	return w.Name
}

// nameLabels are the labels that name the workload of a pod, best first.
var nameLabels = []string{"app.kubernetes.io/name", "app", "k8s-app", "name", "app.kubernetes.io/component"}

// workload returns the endpoint of a workload. Without any name, it is named by its first label.
func (r *reader) workload(at end) flow.Endpoint {
	k := r.pods[at]
	name := k.workload
	if name == "" && at.pod.name != "" {
		name = workloadOf(at.pod.name)
	}
	if name == "" {
		i := slices.IndexFunc(nameLabels, func(key string) bool { return k.labels[key] != "" })
		if i >= 0 {
			name = k.labels[nameLabels[i]]
		} else {
			name, _, _ = strings.Cut(at.pod.labels, ",")
		}
	}
	return flow.Endpoint{
		Kind: flow.Workload, Name: name, Namespace: at.pod.namespace,
		Node: at.place == asNode, HostNetwork: at.place == onNodes,
	}
}

// isResolver reports whether an end is the cluster's DNS, as the destination at a port.
func (r *reader) isResolver(at end, port uint16) bool {
	if port != dnsPort {
		return false
	}
	switch at.place {
	case resolver:
		return true
	case inPod:
		labels := r.pods[at].labels
		for key, value := range policy.ResolverLabels {
			if labels[key] != value {
				return false
			}
		}
		return at.pod.namespace == flow.ClusterResolver.Namespace
	}
	return at.addr.IsValid() && policy.ContainsNodeLocal(netip.PrefixFrom(at.addr, at.addr.BitLen()).String(), nil)
}
