package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/internal/recording"
)

// A Scenario is a recording with its policies, to be tested in a cluster.
type Scenario struct {
	Policies  string // YAML, as in the golden file
	Manifests string // YAML; empty if the test has none
	Flows     []recording.Flow
	Workloads []recording.Workload // those with a policy
	Peers     []recording.Workload // others
	Resolver  Resolver             // the zero value is [KubeDNS]
	Wider     bool                 // the policies allow more ports than were recorded
}

const (
	elsewhere    = "netzero-elsewhere" // a namespace with pods that look like the recorded ones
	unrelatedPod = "netzero-unrelated" // the name of an unrelated pod in each namespace

	// Pods that no policy of the scenario isolates are open, as if policies of another team allowed their traffic.
	openIngress, openEgress = "netzero.dev/open-ingress", "netzero.dev/open-egress"
)

// A workload is the pods that a recording identifies by one name.
type workload struct {
	namespace, name string
	labels          map[string]string
	ports           []corev1.ContainerPort
	hostNetwork     bool
	isolates        map[networkingv1.PolicyType]bool
	pods            []*Pod
	service         string // its name in the cluster's DNS; empty for none
	servicePorts    []ServicePort
}

func (w *workload) String() string { return w.namespace + "/" + w.name }

// A deployment is a scenario in a cluster.
type deployment struct {
	cluster   *Cluster
	scenario  Scenario
	manifests Manifests
	objects   []*unstructured.Unstructured
	policies  []networkingv1.NetworkPolicy
	workloads map[string]*workload // by namespace and name
	twins     map[string]*Pod      // in namespace elsewhere, by namespace and name
	unrelated map[string]*Pod      // by namespace
	release   int                  // the number of rollouts
}

// deploy runs the ends of the scenario's flows: a pod for each workload, with the labels of the manifests and those
// that a release adds; an unrelated pod in each namespace; pods with the same labels in another namespace; Services;
// and hosts on the internet.
func (c *Cluster) deploy(ctx context.Context, s Scenario) (*deployment, error) {
	d := &deployment{
		cluster: c, scenario: s, workloads: make(map[string]*workload), twins: make(map[string]*Pod),
		unrelated: make(map[string]*Pod),
	}
	var err error
	if d.manifests, err = ReadManifests(s.Manifests); err != nil {
		return nil, fmt.Errorf("manifests: %w", err)
	}
	if d.objects, d.policies, err = ReadPolicies(s.Policies); err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	if s.Resolver.Service == "" {
		s.Resolver = KubeDNS
	}
	if err := c.ServeDNS(ctx, s.Resolver); err != nil {
		return nil, err
	}
	if err := c.ServeAPIAt(d.apiServers()...); err != nil {
		return nil, err
	}
	for _, f := range s.Flows {
		d.add(f.Source)
		d.add(f.Destination)
		if f.Destination.Kind == recording.KindExternal {
			c.AddHost(f.Destination.Name)
		}
	}
	for _, w := range d.workloads {
		d.findService(w)
	}
	if err := d.runOthers(ctx); err != nil {
		return nil, err
	}
	return d, d.roll(ctx, 1)
}

// add adds the workload at an end of a flow.
func (d *deployment) add(e recording.Endpoint) {
	if e.Kind != recording.KindWorkload || d.workloadOf(e) != nil {
		return
	}
	w := &workload{
		namespace: namespaceOf(e), name: e.Name, hostNetwork: e.HostNetwork, labels: map[string]string{"app": e.Name},
		isolates: make(map[networkingv1.PolicyType]bool),
	}
	for _, known := range slices.Concat(d.scenario.Peers, d.scenario.Workloads) {
		if namespaced(known.Namespace) == w.namespace && known.Name == e.Name && len(known.PodLabels) > 0 {
			w.labels = known.PodLabels
		}
	}
	for _, t := range d.manifests.Templates {
		if t.Name == w.name && namespaced(t.Namespace) == w.namespace && len(t.Pod.Labels) > 0 {
			w.labels, w.hostNetwork = t.Pod.Labels, t.Pod.Spec.HostNetwork
			for _, container := range t.Pod.Spec.Containers {
				w.ports = append(w.ports, container.Ports...)
			}
		}
	}
	d.isolate(w, e)
	d.workloads[w.String()] = w
}

// isolate determines the directions in which the policies have to isolate a workload. The policies alone do not show
// this if they select no pods. A workload with a policy is isolated for egress, and for ingress if all of its traffic
// was recorded and a flow to it was recorded.
func (d *deployment) isolate(w *workload, e recording.Endpoint) {
	if w.hostNetwork {
		return
	}
	for _, known := range d.scenario.Workloads {
		if namespaced(known.Namespace) != w.namespace || known.Name != w.name {
			continue
		}
		w.isolates[networkingv1.PolicyTypeEgress] = true
		w.isolates[networkingv1.PolicyTypeIngress] = known.AllTraffic && slices.ContainsFunc(d.scenario.Flows,
			func(f recording.Flow) bool {
				return f.Destination.Kind == e.Kind && namespaceOf(f.Destination) == w.namespace && f.Destination.Name == w.name
			})
	}
	for _, p := range d.policies {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil || p.Namespace != w.namespace || !selector.Matches(labels.Set(w.labels)) {
			continue // the API server reports a wrong selector
		}
		for _, direction := range p.Spec.PolicyTypes {
			w.isolates[direction] = true
		}
	}
}

func (d *deployment) workloadOf(e recording.Endpoint) *workload {
	return d.workloads[d.keyOf(e)]
}

func (d *deployment) keyOf(e recording.Endpoint) string { return namespaceOf(e) + "/" + e.Name }

func namespaceOf(e recording.Endpoint) string { return namespaced(e.Namespace) }

// namespaced returns the namespace to which an object without one is applied.
func namespaced(namespace string) string {
	if namespace == "" {
		return metav1.NamespaceDefault
	}
	return namespace
}

// findService finds the Service of a workload, or makes one with its name.
func (d *deployment) findService(w *workload) {
	for _, s := range d.manifests.Services {
		selects := len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(w.labels))
		if namespaced(s.Namespace) != w.namespace || !selects {
			continue
		}
		w.service = s.Name
		for _, port := range s.Spec.Ports {
			w.servicePorts = append(w.servicePorts, w.targetOf(port)...)
		}
		return
	}
	if len(validation.IsDNS1035Label(w.name)) > 0 {
		return
	}
	w.service = w.name
	for _, f := range d.scenario.Flows {
		p := ServicePort{Port: f.Port, Target: f.Port, Protocol: corev1.Protocol(f.Protocol)}
		if d.workloadOf(f.Destination) == w && canBeMade(f) && !slices.Contains(w.servicePorts, p) {
			w.servicePorts = append(w.servicePorts, p)
		}
	}
}

// targetOf returns the port of the workload's pods to which a Service's port leads. There is none if it has a name that
// the pods lack.
func (w *workload) targetOf(p corev1.ServicePort) []ServicePort {
	port := ServicePort{Port: uint16(p.Port), Protocol: p.Protocol}
	if port.Protocol == "" {
		port.Protocol = corev1.ProtocolTCP
	}
	switch {
	case p.TargetPort.StrVal != "":
		for _, declared := range w.ports {
			if declared.Name == p.TargetPort.StrVal {
				port.Target = uint16(declared.ContainerPort)
			}
		}
	case p.TargetPort.IntVal != 0:
		port.Target = uint16(p.TargetPort.IntVal)
	default:
		port.Target = port.Port
	}
	if port.Target == 0 || port.Protocol == corev1.ProtocolSCTP {
		return nil
	}
	return []ServicePort{port}
}

// apiServers returns the API server's addresses in the manifests.
func (d *deployment) apiServers() []netip.Addr {
	var all []netip.Addr
	add := func(text string) {
		if addr, err := netip.ParseAddr(text); err == nil && !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	for _, e := range d.manifests.Endpoints {
		for _, subset := range e.Subsets {
			for _, address := range subset.Addresses {
				if e.Name == "kubernetes" && namespaced(e.Namespace) == "default" {
					add(address.IP)
				}
			}
		}
	}
	for _, s := range d.manifests.Slices {
		for _, endpoint := range s.Endpoints {
			for _, address := range endpoint.Addresses {
				if s.Labels["kubernetes.io/service-name"] == "kubernetes" && namespaced(s.Namespace) == "default" {
					add(address)
				}
			}
		}
	}
	return all
}

// runOthers runs an unrelated pod in each namespace and, for each workload, a pod with its labels in another namespace.
func (d *deployment) runOthers(ctx context.Context) error {
	for key, w := range d.workloads {
		if d.unrelated[w.namespace] == nil {
			p, err := d.runOpen(ctx, w.namespace, unrelatedPod, map[string]string{"app": unrelatedPod})
			if err != nil {
				return err
			}
			d.unrelated[w.namespace] = p
		}
		if w.hostNetwork {
			continue
		}
		p, err := d.runOpen(ctx, elsewhere, podName(w.namespace+"-"+w.name, 0), w.labels)
		if err != nil {
			return err
		}
		d.twins[key] = p
	}
	return nil
}

func (d *deployment) runOpen(ctx context.Context, namespace, name string, own map[string]string) (*Pod, error) {
	with := maps.Clone(own)
	with[openIngress], with[openEgress] = "", ""
	return d.cluster.Run(ctx, PodSpec{Namespace: namespace, Name: name, Labels: with})
}

// roll replaces the pods of all workloads by pods of a new release. These have new addresses, and other values for
// labels that a release changes.
func (d *deployment) roll(ctx context.Context, replicas int) error {
	d.release++
	for _, w := range d.workloads {
		for _, p := range w.pods {
			if err := p.Delete(ctx); err != nil {
				return err
			}
		}
		w.pods = nil
		with := maps.Clone(w.labels)
		with["pod-template-hash"] = fmt.Sprintf("5d4f8c%d", d.release)
		with["app.kubernetes.io/version"] = fmt.Sprint(d.release)
		with["helm.sh/chart"] = fmt.Sprintf("chart-%d", d.release)
		with["controller-uid"] = fmt.Sprintf("7e6c8c3a-0000-4000-8000-%012d", d.release)
		if !w.isolates[networkingv1.PolicyTypeIngress] {
			with[openIngress] = ""
		}
		if !w.isolates[networkingv1.PolicyTypeEgress] {
			with[openEgress] = ""
		}
		for i := range replicas {
			p, err := d.cluster.Run(ctx, PodSpec{
				Namespace: w.namespace, Name: podName(w.name, d.release*10+i), Labels: with, Ports: w.ports,
				HostNetwork: w.hostNetwork,
			})
			if err != nil {
				return err
			}
			w.pods = append(w.pods, p)
		}
		if err := d.expose(ctx, w); err != nil {
			return err
		}
	}
	return d.cluster.Sync(ctx)
}

// expose puts the workload's pods behind its Service.
func (d *deployment) expose(ctx context.Context, w *workload) error {
	if w.service == "" || len(w.servicePorts) == 0 {
		return nil
	}
	s := Service{Namespace: w.namespace, Name: w.service, Ports: w.servicePorts}
	for _, p := range w.pods {
		s.Backends = append(s.Backends, p.Addr4)
	}
	return d.cluster.Expose(ctx, s)
}

// podName returns a name for a pod. It is a DNS subdomain.
func podName(workload string, number int) string {
	var b strings.Builder
	for _, r := range strings.ToLower(workload) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	return fmt.Sprintf("p-%s-%d", strings.Trim(b.String(), "-"), number)
}

// enforce denies everything in the scenario's namespaces, allows everything else, and applies the scenario's policies.
func (d *deployment) enforce(ctx context.Context) error {
	for namespace := range d.namespacesInUse() {
		if err := d.cluster.ensureNamespace(ctx, namespace); err != nil {
			return err
		}
		for _, p := range underlying(namespace) {
			if err := d.cluster.Apply(ctx, p, false); err != nil {
				return err
			}
		}
	}
	for _, object := range d.objects {
		if err := d.cluster.Apply(ctx, object, false); err != nil {
			return err
		}
	}
	return d.cluster.Sync(ctx)
}

// underlying returns the policies below those of a scenario. They deny all traffic, except that of open pods.
func underlying(namespace string) []*unstructured.Unstructured {
	policy := func(name string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
			"metadata": map[string]any{"name": name, "namespace": namespace}, "spec": spec,
		}}
	}
	has := func(label string) map[string]any {
		return map[string]any{"matchExpressions": []any{map[string]any{"key": label, "operator": "Exists"}}}
	}
	return []*unstructured.Unstructured{
		policy("netzero-deny-all",
			map[string]any{"podSelector": map[string]any{}, "policyTypes": []any{"Ingress", "Egress"}}),
		policy("netzero-open-ingress", map[string]any{
			"podSelector": has(openIngress), "policyTypes": []any{"Ingress"}, "ingress": []any{map[string]any{}},
		}),
		policy("netzero-open-egress", map[string]any{
			"podSelector": has(openEgress), "policyTypes": []any{"Egress"}, "egress": []any{map[string]any{}},
		}),
	}
}

// remove deletes everything that the deployment made except namespaces, which only a controller could delete.
func (d *deployment) remove(ctx context.Context) error {
	policies := d.cluster.control.client.NetworkingV1()
	for namespace := range d.namespacesInUse() {
		err := policies.NetworkPolicies(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("delete the policies of namespace %s: %w", namespace, err)
		}
	}
	var pods []*Pod
	for _, w := range d.workloads {
		pods = append(pods, w.pods...)
		if s := d.cluster.services[w.namespace+"/"+w.service]; s != nil {
			if err := d.cluster.forget(ctx, s); err != nil {
				return err
			}
		}
	}
	pods = slices.AppendSeq(pods, maps.Values(d.twins))
	pods = slices.AppendSeq(pods, maps.Values(d.unrelated))
	for _, p := range pods {
		if err := p.Delete(ctx); err != nil {
			return err
		}
	}
	return d.cluster.translateServices()
}

func (d *deployment) namespacesInUse() map[string]bool {
	all := map[string]bool{elsewhere: true}
	for _, w := range d.workloads {
		all[w.namespace] = true
	}
	for _, object := range d.objects {
		all[object.GetNamespace()] = true
	}
	return all
}
