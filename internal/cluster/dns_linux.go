package cluster

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
)

// clusterDomain is the suffix of the names of Services.
const clusterDomain = "cluster.local"

// A Resolver is the pods that answer the cluster's DNS queries, and their Service.
type Resolver struct {
	Namespace, Service string
	Labels             map[string]string
	Port               uint16 // of the pods; the Service has 53
	addr               netip.Addr
}

// The resolvers of common distributions, and of OpenShift.
var (
	KubeDNS = Resolver{
		Namespace: "kube-system", Service: "kube-dns", Labels: map[string]string{"k8s-app": "kube-dns"}, Port: 53,
		addr: dnsService,
	}
	OpenShiftDNS = Resolver{
		Namespace: "openshift-dns", Service: "dns-default",
		Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}, Port: 5353,
		addr: nth(dnsService, 1),
	}
)

// ServeDNS runs a resolver, unless it is running, and makes it the one that pods query.
func (c *Cluster) ServeDNS(ctx context.Context, r Resolver) error {
	c.resolver = r.addr
	if c.services[r.Namespace+"/"+r.Service] != nil {
		return nil
	}
	p, err := c.Run(ctx, PodSpec{Namespace: r.Namespace, Name: r.Service, Labels: r.Labels})
	if err != nil {
		return err
	}
	err = c.Expose(ctx, Service{
		Namespace: r.Namespace, Name: r.Service, Addr: r.addr, Backends: []netip.Addr{p.Addr4},
		Ports: []ServicePort{{53, r.Port, corev1.ProtocolUDP}, {53, r.Port, corev1.ProtocolTCP}},
	})
	if err != nil {
		return err
	}
	return p.namespace.do(func() error {
		address := fmt.Sprintf(":%d", r.Port)
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		p.servers.add("DNS over TCP", listener)
		conn, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		p.servers.add("DNS over UDP", conn)
		for _, server := range []*dns.Server{{Listener: listener}, {PacketConn: conn}} {
			server.Handler = dns.HandlerFunc(c.answer)
			go func() { _ = server.ActivateAndServe() }() // until its socket is closed
		}
		return nil
	})
}

// answer answers a question for A records.
func (c *Cluster) answer(w dns.ResponseWriter, question *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(question)
	if len(question.Question) == 1 {
		name := question.Question[0].Name
		for _, addr := range c.resolve(strings.TrimSuffix(name, "."), 0) {
			reply.Answer = append(reply.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: addr.AsSlice(),
			})
		}
	}
	if len(reply.Answer) == 0 {
		reply.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(reply) // the client retries
}

// resolve returns the IPv4 addresses for the name of a Service or of a host on the internet.
func (c *Cluster) resolve(name string, depth int) []netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.resolveLocked(name, depth)
}

func (c *Cluster) resolveLocked(name string, depth int) []netip.Addr {
	if addr, ok := c.external[name]; ok {
		return []netip.Addr{addr}
	}
	short, isService := strings.CutSuffix(name, ".svc."+clusterDomain)
	labels := strings.Split(short, ".")
	if !isService || len(labels) != 2 {
		return nil
	}
	if name == "kubernetes.default.svc."+clusterDomain {
		return []netip.Addr{apiService}
	}
	s := c.services[labels[1]+"/"+labels[0]]
	switch {
	case s == nil:
		return nil
	case s.ExternalName != "" && depth < 8:
		return c.resolveLocked(s.ExternalName, depth+1)
	case !s.addr.IsValid():
		return nil
	}
	return []netip.Addr{s.addr}
}

// AddHost adds a host with that name to the internet, and returns its address.
func (c *Cluster) AddHost(name string) netip.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	addr, ok := c.external[name]
	if !ok {
		addr = nth(netip.MustParseAddr("198.51.100.0"), len(c.external)+1)
		c.external[name] = addr
	}
	return addr
}

// lookup queries the cluster's DNS from inside the pod, like its resolver: over UDP, with a retry if no answer comes.
func (p *Pod) lookup(ctx context.Context, name string) (netip.Addr, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	at := netip.AddrPortFrom(p.cluster.resolver, 53).String()
	for {
		conn, err := p.dial(ctx, "udp", at)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("look up %s: %w", name, err)
		}
		client := &dns.Client{Timeout: 500 * time.Millisecond}
		answer, _, err := client.ExchangeWithConn(question, &dns.Conn{Conn: conn})
		conn.Close()
		switch {
		case err == nil && len(answer.Answer) > 0:
			return netip.MustParseAddr(answer.Answer[0].(*dns.A).A.String()).Unmap(), nil
		case err == nil:
			return netip.Addr{}, fmt.Errorf("%s: no such name", name)
		case ctx.Err() != nil:
			return netip.Addr{}, fmt.Errorf("look up %s: %w", name, ctx.Err())
		}
	}
}
