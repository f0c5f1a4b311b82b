package manifest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
)

func (o *object) readService() (*service, error) {
	var from corev1.Service
	if err := o.decode(&from); err != nil {
		return nil, err
	}
	spec := from.Spec
	s := &service{identity: o.identity(), origin: o.origin, headless: spec.ClusterIP == corev1.ClusterIPNone}
	switch spec.Type {
	case "", corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
	case corev1.ServiceTypeExternalName:
		s.externalName = strings.ToLower(strings.TrimSuffix(spec.ExternalName, "."))
		if s.externalName == "" {
			return nil, o.invalid("spec.externalName", "missing", "name the host")
		}
		return s, o.checkText("spec.externalName", s.externalName, utilvalidation.IsDNS1123Subdomain)
	default:
		if hasPlaceholder(string(spec.Type)) {
			return nil, o.placeholder("spec.type", string(spec.Type))
		}
		return nil, o.invalid("spec.type", fmt.Sprintf("%q is not a type of Service", spec.Type),
			"write ClusterIP, NodePort, LoadBalancer or ExternalName")
	}
	if err := o.checkLabels("spec.selector", spec.Selector); err != nil {
		return nil, err
	}
	if s.selector = spec.Selector; len(s.selector) == 0 {
		s.selector = nil
	}
	if len(spec.Ports) == 0 && !s.headless {
		return nil, o.invalid("spec.ports", "missing", "give the Service a port, or clusterIP: None")
	}
	return s, o.readServicePorts(s, spec.Ports)
}

func (o *object) readServicePorts(s *service, ports []corev1.ServicePort) error {
	names, keys := make(map[string]bool), make(map[portKey]bool)
	for i, p := range ports {
		at := "spec.ports[" + strconv.Itoa(i) + "]"
		key, err := o.portKey(at, "port", p.Port, p.Protocol)
		if err != nil {
			return err
		}
		switch {
		case p.Name == "" && len(ports) > 1:
			return o.invalid(at+".name", "missing", "name the ports of a Service that has several")
		case names[p.Name]:
			return o.invalid(at+".name", fmt.Sprintf("%q is the name of another port too", p.Name),
				"rename one of them")
		case keys[key]:
			return o.invalid(at, key.String()+" is given twice", "remove one of them")
		}
		names[p.Name], keys[key] = true, true
		if p.Name != "" {
			if err := o.checkText(at+".name", p.Name, utilvalidation.IsDNS1123Label); err != nil {
				return err
			}
		}
		target := p.TargetPort
		switch {
		case target.Type == intstr.String && target.StrVal != "":
			if err := o.checkText(at+".targetPort", target.StrVal, utilvalidation.IsValidPortName); err != nil {
				return err
			}
		case target.Type == intstr.String || target.IntVal == 0:
			target = intstr.FromInt32(p.Port)
		default:
			if _, err := o.portKey(at, "targetPort", target.IntVal, ""); err != nil {
				return err
			}
		}
		if err := o.checkNodePort(at, "nodePort", p.NodePort); err != nil {
			return err
		}
		s.ports = append(s.ports, servicePort{p.Name, key, target, uint16(p.NodePort)})
	}
	return nil
}

// readBackings reads Endpoints or an EndpointSlice. Addresses that are not ready count too, because they may become
// ready.
func (o *object) readBackings() ([]*backing, error) {
	if o.kind == "EndpointSlice" {
		return o.readEndpointSlice()
	}
	//lint:ignore SA1019 deprecated, but still written by hand
	var from corev1.Endpoints
	if err := o.decode(&from); err != nil {
		return nil, err
	}
	var all []*backing
	for i, subset := range from.Subsets {
		at := "subsets[" + strconv.Itoa(i) + "]"
		b := &backing{identity: o.identity(), origin: o.origin, service: o.meta.Name}
		for _, list := range []struct {
			field     string
			addresses []corev1.EndpointAddress
		}{{"addresses", subset.Addresses}, {"notReadyAddresses", subset.NotReadyAddresses}} {
			for j, a := range list.addresses {
				if err := o.readAddress(b, at+"."+list.field+"["+strconv.Itoa(j)+"].ip", a.IP); err != nil {
					return nil, err
				}
			}
		}
		for j, p := range subset.Ports {
			key, err := o.portKey(at+".ports["+strconv.Itoa(j)+"]", "port", p.Port, p.Protocol)
			if err != nil {
				return nil, err
			}
			b.ports = append(b.ports, backingPort{p.Name, key})
		}
		all = append(all, b)
	}
	return all, nil
}

func (o *object) readEndpointSlice() ([]*backing, error) {
	var from discoveryv1.EndpointSlice
	if err := o.decode(&from); err != nil {
		return nil, err
	}
	b := &backing{identity: o.identity(), origin: o.origin, service: o.meta.Labels[discoveryv1.LabelServiceName]}
	if from.AddressType == discoveryv1.AddressTypeFQDN {
		return nil, nil // kube-proxy skips it too
	}
	for i, endpoint := range from.Endpoints {
		for j, a := range endpoint.Addresses {
			if err := o.readAddress(b, "endpoints["+strconv.Itoa(i)+"].addresses["+strconv.Itoa(j)+"]", a); err != nil {
				return nil, err
			}
		}
	}
	for i, p := range from.Ports {
		port := backingPort{}
		if p.Name != nil {
			port.name = *p.Name
		}
		if p.Port == nil {
			continue // every port, as without any
		}
		var protocol corev1.Protocol
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		var err error
		if port.key, err = o.portKey("ports["+strconv.Itoa(i)+"]", "port", *p.Port, protocol); err != nil {
			return nil, err
		}
		b.ports = append(b.ports, port)
	}
	return []*backing{b}, nil
}

func (o *object) readAddress(b *backing, at, text string) error {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		if hasPlaceholder(text) {
			return o.placeholder(at, text)
		}
		return o.invalid(at, fmt.Sprintf("%q is not an IP address", text), "correct it")
	}
	b.addresses = append(b.addresses, addr.Unmap())
	return nil
}
