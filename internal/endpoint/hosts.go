package endpoint

import (
	"net/netip"
	"os"
	"strings"
)

// Hosts returns the addresses of the names in /etc/hosts (hosts(5)), which programs use without a lookup. It returns
// none if the file cannot be read.
func Hosts() map[string][]netip.Addr {
	text, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return nil
	}
	return parseHosts(string(text))
}

func parseHosts(text string) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = canonicalName(name)
			hosts[name] = append(hosts[name], normal(addr))
		}
	}
	return hosts
}
