package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A Service is a Service of the API server and the pods behind it.
type Service struct {
	Namespace, Name string
	Ports           []ServicePort
	Backends        []netip.Addr // of pods, or any other addresses
	ExternalName    string       // instead of all fields above
	Addr            netip.Addr   // the requested cluster address; the API server chooses one if it is the zero value
}

// A ServicePort is a port of a Service and the port of its backends.
type ServicePort struct {
	Port, Target uint16
	Protocol     corev1.Protocol
}

// A service is a Service in a running cluster.
type service struct {
	Service
	addr netip.Addr
}

// Expose creates a Service, or gives one new backends: in the API server, in the cluster's DNS as NAME.NAMESPACE.svc,
// and in the node's address translation.
func (c *Cluster) Expose(ctx context.Context, s Service) error {
	if err := c.ensureNamespace(ctx, s.Namespace); err != nil {
		return err
	}
	key := s.Namespace + "/" + s.Name
	running := c.services[key]
	if running == nil {
		created, err := c.create(ctx, s)
		if err != nil {
			return err
		}
		running = &service{addr: created}
	}
	running.Service = s
	c.mu.Lock()
	c.services[key] = running
	c.mu.Unlock()
	if err := c.writeEndpoints(ctx, s); err != nil {
		return err
	}
	return c.translateServices()
}

// create creates the Service's object, and returns the cluster address from the API server.
func (c *Cluster) create(ctx context.Context, s Service) (netip.Addr, error) {
	object := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace}}
	if s.ExternalName != "" {
		object.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: s.ExternalName}
	}
	if s.Addr.IsValid() {
		object.Spec.ClusterIP = s.Addr.String()
	}
	for _, port := range s.Ports {
		object.Spec.Ports = append(object.Spec.Ports, corev1.ServicePort{
			Name: portName(port), Port: int32(port.Port), Protocol: port.Protocol,
			TargetPort: intstr.FromInt32(int32(port.Target)),
		})
	}
	services := c.control.client.CoreV1().Services(s.Namespace)
	created, err := services.Create(ctx, object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return netip.Addr{}, fmt.Errorf("create service %s/%s: %w", s.Namespace, s.Name, err)
	}
	if s.ExternalName != "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(created.Spec.ClusterIP)
}

func portName(p ServicePort) string {
	return fmt.Sprintf("p%d-%d", p.Port, len(p.Protocol)+int(p.Protocol[0]))
}

// writeEndpoints writes the backends of a Service to the API server.
func (c *Cluster) writeEndpoints(ctx context.Context, s Service) error {
	if s.ExternalName != "" {
		return nil
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.Name, Namespace: s.Namespace, Labels: map[string]string{discoveryv1.LabelServiceName: s.Name},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, addr := range s.Backends {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{addr.String()}})
	}
	for _, port := range s.Ports {
		name, number, protocol := portName(port), int32(port.Target), port.Protocol
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &name, Port: &number, Protocol: &protocol})
	}
	slices := c.control.client.DiscoveryV1().EndpointSlices(s.Namespace)
	_, err := slices.Create(ctx, slice, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = slices.Update(ctx, slice, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("write the endpoints of service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}

// translateServices gives the node the rules of all Services, and of Service kubernetes, which the API server creates.
func (c *Cluster) translateServices() error {
	all := []translation{{
		service: netip.AddrPortFrom(apiService, 443), protocol: "TCP",
		backends: c.apiServers,
	}}
	for _, s := range c.services {
		for _, port := range s.Ports {
			t := translation{service: netip.AddrPortFrom(s.addr, port.Port), protocol: string(port.Protocol)}
			for _, addr := range s.Backends {
				t.backends = append(t.backends, netip.AddrPortFrom(addr, port.Target))
			}
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b translation) int { return a.service.Compare(b.service) })
	return c.network.node.translate(all)
}

// forget deletes a Service.
func (c *Cluster) forget(ctx context.Context, s *service) error {
	c.mu.Lock()
	delete(c.services, s.Namespace+"/"+s.Name)
	c.mu.Unlock()
	err := c.control.client.CoreV1().Services(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete service %s/%s: %w", s.Namespace, s.Name, err)
	}
	err = c.control.client.DiscoveryV1().EndpointSlices(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the endpoints of service %s/%s: %w", s.Namespace, s.Name, err)
	}
	return nil
}

// ensureNamespace creates a namespace unless it exists. The API server adds the label with its name.
func (c *Cluster) ensureNamespace(ctx context.Context, name string) error {
	namespaces := c.control.client.CoreV1().Namespaces()
	if _, err := namespaces.Get(ctx, name, metav1.GetOptions{}); err == nil {
		return nil
	}
	_, err := namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// ServeAPIAt gives the API server more addresses, and makes Service kubernetes lead to them. Without addresses, the
// Service leads to the API server's own address again.
func (c *Cluster) ServeAPIAt(addrs ...netip.Addr) error {
	own, err := c.network.control.links.LinkByName("eth0")
	if err != nil {
		return err
	}
	node, err := c.network.node.links.LinkByName("port1")
	if err != nil {
		return err
	}
	if len(addrs) == 0 {
		addrs = []netip.Addr{apiServerAddr}
	}
	c.apiServers = nil
	for _, addr := range addrs {
		c.apiServers = append(c.apiServers, netip.AddrPortFrom(addr, apiServerPort))
		if addr == apiServerAddr || c.extraAPIAddrs[addr] {
			continue
		}
		if err := c.network.addAddress(c.network.control, own, node, addr); err != nil {
			return err
		}
		c.extraAPIAddrs[addr] = true
	}
	return c.translateServices()
}
