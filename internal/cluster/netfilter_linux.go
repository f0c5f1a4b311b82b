package cluster

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// queueNewConnections sends each packet that the node forwards to the enforcer, unless it belongs to a connection that
// was allowed before. It does so after the translation of Service addresses, as in a cluster, because policies apply to
// pods. It allows the node's own traffic and IPv6 neighbour discovery, as the enforcer's own rules do.
func (ns *namespace) queueNewConnections() error {
	chain := "*mangle\n" +
		"-A POSTROUTING -m owner --uid-owner 0 -j ACCEPT\n" +
		"-A POSTROUTING -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n%s" +
		"-A POSTROUTING -j NFQUEUE --queue-num %d\nCOMMIT\n"
	if err := ns.iptables("iptables-restore", fmt.Sprintf(chain, "", netfilterQueue)); err != nil {
		return err
	}
	discovery := "-A POSTROUTING -p ipv6-icmp -j ACCEPT\n"
	return ns.iptables("ip6tables-restore", fmt.Sprintf(chain, discovery, netfilterQueue))
}

// A translation is a port of a Service and the pods behind it.
type translation struct {
	service  netip.AddrPort
	protocol string // TCP or UDP
	backends []netip.AddrPort
}

// translate replaces the node's rules for Services. They do the same as kube-proxy's.
func (ns *namespace) translate(all []translation) error {
	var b strings.Builder
	b.WriteString("*nat\n")
	for _, t := range all {
		for i, backend := range t.backends {
			fmt.Fprintf(&b, "-A PREROUTING -d %s -p %s --dport %d", t.service.Addr(), strings.ToLower(t.protocol),
				t.service.Port())
			if rest := len(t.backends) - i; rest > 1 {
				fmt.Fprintf(&b, " -m statistic --mode nth --every %d --packet 0", rest)
			}
			fmt.Fprintf(&b, " -j DNAT --to-destination %s\n", backend)
		}
	}
	b.WriteString("COMMIT\n")
	return ns.iptables("iptables-restore", b.String())
}

// iptables runs a restore command, which replaces a table atomically.
func (ns *namespace) iptables(command, rules string) error {
	return ns.do(func() error {
		cmd := exec.Command(command)
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s\n%s", command, err, out, rules)
		}
		return nil
	})
}
