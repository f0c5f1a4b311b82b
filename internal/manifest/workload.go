package manifest

import (
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// pods is the common part of all kinds of workload.
type pods struct {
	selector   *metav1.LabelSelector // nil if the kind or the manifest has none
	selectorAt string
	required   bool // the API server requires a selector
	template   corev1.PodTemplateSpec
	at         string // the path of the template; empty for a Pod, which is its own
}

// readPods reads the kind-specific part.
func (o *object) readPods() (pods, error) {
	const selectorAt, at = "spec.selector", "spec.template"
	switch o.kind {
	case "Deployment", "Rollout", "CloneSet": // of the latter two addOperated keeps only selector and template
		var d appsv1.Deployment
		err := o.decode(&d)
		return pods{d.Spec.Selector, selectorAt, true, d.Spec.Template, at}, err
	case "StatefulSet":
		var s appsv1.StatefulSet
		err := o.decode(&s)
		return pods{s.Spec.Selector, selectorAt, true, s.Spec.Template, at}, err
	case "DaemonSet":
		var d appsv1.DaemonSet
		err := o.decode(&d)
		return pods{d.Spec.Selector, selectorAt, true, d.Spec.Template, at}, err
	case "ReplicaSet":
		var r appsv1.ReplicaSet
		err := o.decode(&r)
		return pods{r.Spec.Selector, selectorAt, true, r.Spec.Template, at}, err
	case "ReplicationController", "DeploymentConfig":
		var r corev1.ReplicationController
		err := o.decode(&r)
		p := pods{selectorAt: selectorAt, at: at}
		if r.Spec.Selector != nil {
			p.selector = &metav1.LabelSelector{MatchLabels: r.Spec.Selector}
		}
		if r.Spec.Template != nil {
			p.template = *r.Spec.Template
		}
		return p, err
	case "Job":
		var j batchv1.Job
		err := o.decode(&j)
		return pods{j.Spec.Selector, selectorAt, false, j.Spec.Template, at}, err
	case "CronJob":
		const spec = "spec.jobTemplate."
		var c batchv1.CronJob
		err := o.decode(&c)
		job := c.Spec.JobTemplate.Spec
		return pods{job.Selector, spec + selectorAt, false, job.Template, spec + at}, err
	}
	var p corev1.Pod
	err := o.decode(&p)
	return pods{template: corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}}, err
}

func (o *object) readWorkload() (*workload, error) {
	p, err := o.readPods()
	if err != nil {
		return nil, err
	}
	labelsAt := join(p.at, "metadata.labels")
	if err := o.checkLabels(labelsAt, p.template.Labels); err != nil {
		return nil, err
	}
	w := &workload{
		identity: o.identity(), origin: o.origin,
		labels: withoutRunLabels(p.template.Labels), hostNetwork: p.template.Spec.HostNetwork, owner: ownerOf(&o.meta),
	}
	w.addRun(&o.meta, p.template.Labels)
	if w.selector, err = o.readSelector(p, labelsAt); err != nil {
		return nil, err
	}
	at := join(p.at, "spec.containers")
	if len(p.template.Spec.Containers) == 0 {
		return nil, o.invalid(at, "missing", "give the pods a container")
	}
	for i, c := range p.template.Spec.Containers {
		if err := o.readPorts(w, c, at+"["+strconv.Itoa(i)+"]"); err != nil {
			return nil, err
		}
	}
	at = join(p.at, "spec.initContainers")
	for i, c := range p.template.Spec.InitContainers {
		if c.RestartPolicy == nil || *c.RestartPolicy != corev1.ContainerRestartPolicyAlways {
			continue // it ends before the pod serves clients
		}
		if err := o.readPorts(w, c, at+"["+strconv.Itoa(i)+"]"); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// readSelector returns the selector of the workload, and rejects one that does not match its own pods.
func (o *object) readSelector(p pods, labelsAt string) (map[string]string, error) {
	if p.selector == nil {
		if p.required {
			return nil, o.invalid(p.selectorAt, "missing", "give it the labels of the template")
		}
		return nil, nil
	}
	if err := o.checkLabels(join(p.selectorAt, "matchLabels"), p.selector.MatchLabels); err != nil {
		return nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(p.selector)
	if err != nil {
		return nil, o.invalid(p.selectorAt, err.Error(), "correct it")
	}
	if p.required && selector.Empty() {
		return nil, o.invalid(p.selectorAt, "selects every pod", "give it the labels of the template")
	}
	if !selector.Matches(labels.Set(p.template.Labels)) {
		return nil, o.invalid(p.selectorAt, fmt.Sprintf("%s does not select the pods of its own template, which have %s",
			selector, orNone(labelText(p.template.Labels))), "correct one of them: "+labelsAt)
	}
	return withoutRunLabels(p.selector.MatchLabels), nil
}

func orNone(labels string) string {
	if labels == "" {
		return "no labels"
	}
	return labels
}

func (o *object) readPorts(w *workload, c corev1.Container, at string) error {
	for i, p := range c.Ports {
		at := at + ".ports[" + strconv.Itoa(i) + "]"
		key, err := o.portKey(at, "containerPort", p.ContainerPort, p.Protocol)
		if err != nil {
			return err
		}
		if p.Name != "" {
			if err := o.checkText(at+".name", p.Name, utilvalidation.IsValidPortName); err != nil {
				return err
			}
		}
		port := Port{Container: c.Name, Name: p.Name, Number: key.number, Protocol: key.protocol}
		if !slices.Contains(w.ports, port) {
			w.ports = append(w.ports, port)
		}
		if err := o.addHostPort(w, p, key, at); err != nil {
			return err
		}
	}
	return nil
}

// portKey validates a port and its protocol. The default is TCP.
func (o *object) portKey(at, field string, number int32, protocol corev1.Protocol) (portKey, error) {
	if number < 1 || number > 65535 {
		return portKey{}, o.invalid(at+"."+field, fmt.Sprintf("%d is not a port", number), "give one between 1 and 65535")
	}
	switch protocol {
	case "", corev1.ProtocolTCP:
		return portKey{uint16(number), flow.TCP}, nil
	case corev1.ProtocolUDP:
		return portKey{uint16(number), flow.UDP}, nil
	case corev1.ProtocolSCTP:
		return portKey{uint16(number), flow.SCTP}, nil
	}
	return portKey{}, o.invalid(at+".protocol", fmt.Sprintf("%q is not a protocol with ports", protocol),
		"write TCP, UDP or SCTP")
}

func ownerOf(meta *metav1.ObjectMeta) identity {
	for _, owner := range meta.OwnerReferences {
		if owner.Controller != nil && *owner.Controller {
			return identity{owner.Kind, owner.Name, meta.Namespace}
		}
	}
	return identity{}
}
