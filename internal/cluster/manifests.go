package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// Manifests are the parts of a cluster that matter for the network. This package reads them with its own code, so that
// the generator's reading of manifests is not compared with itself.
type Manifests struct {
	Templates []Template // of workloads and pods
	Services  []corev1.Service
	//lint:ignore SA1019 people's manifests have it, deprecated or not
	Endpoints []corev1.Endpoints
	Slices    []discoveryv1.EndpointSlice
}

// A Template is the pod template of a workload.
type Template struct {
	Namespace, Name string
	Pod             corev1.PodTemplateSpec
}

// ReadObjects reads the objects of a YAML or JSON text. It returns the objects in lists individually.
func ReadObjects(text string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(text)), 4096)
	for {
		object := new(unstructured.Unstructured)
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case len(object.Object) == 0:
			continue
		case object.IsList():
			err := object.EachListItem(func(item runtime.Object) error {
				all = append(all, item.(*unstructured.Unstructured))
				return nil
			})
			if err != nil {
				return nil, err
			}
			continue
		}
		all = append(all, object)
	}
}

// ReadManifests reads a YAML or JSON text. It takes the pod template of unknown kinds, if there is one.
func ReadManifests(text string) (Manifests, error) {
	var m Manifests
	objects, err := ReadObjects(text)
	if err != nil {
		return m, err
	}
	for _, object := range objects {
		var err error
		switch object.GetKind() {
		case "Service":
			err = decode(object, &m.Services)
		case "Endpoints":
			err = decode(object, &m.Endpoints)
		case "EndpointSlice":
			err = decode(object, &m.Slices)
		default:
			err = m.addTemplate(object)
		}
		if err != nil {
			return m, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return m, nil
}

func decode[T any](object *unstructured.Unstructured, all *[]T) error {
	var value T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &value); err != nil {
		return err
	}
	*all = append(*all, value)
	return nil
}

// addTemplate adds the object's pod template, if there is one.
func (m *Manifests) addTemplate(object *unstructured.Unstructured) error {
	t := Template{Namespace: object.GetNamespace(), Name: object.GetName()}
	for _, path := range [][]string{{"spec", "template"}, {"spec", "jobTemplate", "spec", "template"}} {
		template, found, err := unstructured.NestedMap(object.Object, path...)
		if err != nil || !found {
			continue
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &t.Pod); err != nil {
			return err
		}
		m.Templates = append(m.Templates, t)
		return nil
	}
	if object.GetKind() != "Pod" {
		return nil
	}
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &pod); err != nil {
		return err
	}
	t.Pod = corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec}
	m.Templates = append(m.Templates, t)
	return nil
}

// ReadPolicies reads the NetworkPolicies of a golden file, both as objects to apply and as typed values.
func ReadPolicies(text string) ([]*unstructured.Unstructured, []networkingv1.NetworkPolicy, error) {
	objects, err := ReadObjects(text)
	if err != nil {
		return nil, nil, err
	}
	var policies []networkingv1.NetworkPolicy
	for _, object := range objects {
		if object.GetKind() != "NetworkPolicy" {
			return nil, nil, fmt.Errorf("%s %s is no NetworkPolicy", object.GetKind(), object.GetName())
		}
		if object.GetNamespace() == "" {
			object.SetNamespace(metav1.NamespaceDefault)
		}
		if err := decode(object, &policies); err != nil {
			return nil, nil, err
		}
	}
	return objects, policies, nil
}
