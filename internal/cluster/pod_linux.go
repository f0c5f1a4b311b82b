package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Pod is a network namespace that the API server knows as a running pod with its addresses and labels.
type Pod struct {
	Namespace, Name string
	Addr4, Addr6    netip.Addr

	cluster   *Cluster
	namespace *namespace
	servers   *servers
}

// A PodSpec describes the pod to run.
type PodSpec struct {
	Namespace, Name string
	Labels          map[string]string
	Ports           []corev1.ContainerPort // the declared ports; [Pod.Serve] serves
	HostNetwork     bool                   // the pod has a node's address instead of its own
}

// Run runs a pod. It creates the pod's namespace if there is none.
func (c *Cluster) Run(ctx context.Context, spec PodSpec) (*Pod, error) {
	if err := c.ensureNamespace(ctx, spec.Namespace); err != nil {
		return nil, err
	}
	ns, err := newNamespace()
	if err != nil {
		return nil, err
	}
	c.nextPod++
	p := &Pod{Namespace: spec.Namespace, Name: spec.Name, cluster: c, namespace: ns, servers: newServers(ns)}
	p.Addr4 = nth(podRange4.Addr(), c.nextPod+256)
	p.Addr6 = nth(podRange6.Addr(), c.nextPod+256)
	if spec.HostNetwork {
		p.Addr4 = nth(nodeRange.Addr(), c.nextPod)
	}
	c.pods[spec.Namespace+"/"+spec.Name] = p
	if _, err := c.network.plug(ns, p.Addr4, p.Addr6); err != nil {
		return nil, err
	}
	return p, p.register(ctx, spec)
}

// register writes the state that the scheduler and a kubelet would write.
func (p *Pod) register(ctx context.Context, spec PodSpec) error {
	pods := p.cluster.control.client.CoreV1().Pods(p.Namespace)
	created, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace, Labels: spec.Labels},
		Spec: corev1.PodSpec{
			NodeName: nodeName, HostNetwork: spec.HostNetwork,
			Containers: []corev1.Container{{Name: "container", Image: "image", Ports: hostPorts(spec)}},
		},
	}, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return fmt.Errorf("create pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	created.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: p.Addr4.String(),
		PodIPs: []corev1.PodIP{{IP: p.Addr4.String()}, {IP: p.Addr6.String()}},
	}
	if _, err := pods.UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("update the status of pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return nil
}

// hostPorts returns the declared ports. On the host network they are also the node's ports, which the API server
// checks.
func hostPorts(spec PodSpec) []corev1.ContainerPort {
	ports := append([]corev1.ContainerPort(nil), spec.Ports...)
	if spec.HostNetwork {
		for i := range ports {
			ports[i].HostPort = ports[i].ContainerPort
		}
	}
	return ports
}

// Delete deletes the pod at once.
func (p *Pod) Delete(ctx context.Context) error {
	none := int64(0)
	err := p.cluster.control.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name,
		metav1.DeleteOptions{GracePeriodSeconds: &none})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	delete(p.cluster.pods, p.Namespace+"/"+p.Name)
	p.close()
	return nil
}

func (p *Pod) close() {
	p.servers.close()
	_ = p.namespace.close() // it is private to this pod, and empty
}

// setLabels replaces the pod's labels.
func (p *Pod) setLabels(ctx context.Context, labels map[string]string) error {
	pods := p.cluster.control.client.CoreV1().Pods(p.Namespace)
	pod, err := pods.Get(ctx, p.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	pod.Labels = maps.Clone(labels)
	_, err = pods.Update(ctx, pod, metav1.UpdateOptions{})
	return err
}

// A Target is where a connection goes.
type Target struct {
	Name     string          // looked up in the cluster's DNS first, unless it is empty
	Addr     netip.Addr      // used if Name is empty
	Port     uint16          // 0 to look up the name only
	Protocol corev1.Protocol // TCP or UDP
}

func (t Target) String() string {
	host := t.Name
	if host == "" {
		host = t.Addr.String()
	}
	return fmt.Sprintf("%s/%s", net.JoinHostPort(host, fmt.Sprint(t.Port)), t.Protocol)
}

// Reaches connects to the target from the pod, and reports whether an answer came within the time. It reports false if
// the lookup of the name fails. It returns an error if the connection fails in another way, for example because this
// machine refuses it.
func (p *Pod) Reaches(ctx context.Context, target Target, within time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	addr := target.Addr
	if target.Name != "" {
		found, err := p.lookup(ctx, target.Name)
		if err != nil {
			return false, nil //nolint:nilerr // not reached: the lookup failed
		}
		addr = found
	}
	if target.Port == 0 {
		return true, nil
	}
	at := netip.AddrPortFrom(addr, target.Port).String()
	switch target.Protocol {
	case corev1.ProtocolTCP: // a connection is an answer
		conn, err := p.dial(ctx, "tcp", at)
		if err != nil {
			return false, unlessSilence(err)
		}
		return true, conn.Close()
	case corev1.ProtocolUDP:
		conn, err := p.dial(ctx, "udp", at)
		if err != nil {
			return false, unlessSilence(err)
		}
		defer conn.Close()
		return isAnswered(ctx, conn)
	}
	return false, fmt.Errorf("%s: traffic of %s is not made here", target, target.Protocol)
}

// dial connects from inside the pod.
func (p *Pod) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = p.namespace.do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// isAnswered sends datagrams until one comes back.
func isAnswered(ctx context.Context, conn net.Conn) (bool, error) {
	buffer := make([]byte, 64)
	for ctx.Err() == nil {
		if _, err := conn.Write([]byte("question")); err != nil {
			return false, err
		}
		step := time.Now().Add(100 * time.Millisecond)
		if deadline, _ := ctx.Deadline(); step.After(deadline) {
			step = deadline
		}
		if err := conn.SetReadDeadline(step); err != nil {
			return false, err
		}
		if n, err := conn.Read(buffer); n > 0 {
			return true, nil
		} else if err := unlessSilence(err); err != nil {
			return false, err
		}
	}
	return false, nil
}

// unlessSilence returns an error unless the error is that nothing came back in time.
func unlessSilence(err error) error {
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return nil
	}
	return err
}

// nth returns the nth address after the first.
func nth(first netip.Addr, n int) netip.Addr {
	bytes := first.AsSlice()
	last := len(bytes)
	bytes[last-1] += byte(n)
	bytes[last-2] += byte(n >> 8)
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}
