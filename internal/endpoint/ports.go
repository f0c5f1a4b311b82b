package endpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
)

// portRange is the ports from first to last.
type portRange struct{ first, last uint16 }

// defaultPorts is Linux's default range.
var defaultPorts = portRange{32768, 60999}

func (r portRange) has(port uint16) bool { return r.first <= port && port <= r.last }

// machinePorts are the ports that the kernel chooses for programs that request any port (ip-sysctl:
// ip_local_port_range), both servers that listen on port 0 and clients. A server may also have requested a port in this
// range explicitly; the range does not show that.
var machinePorts = sync.OnceValue(func() portRange {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return defaultPorts
	}
	return parsePortRange(string(text))
})

// EphemeralIn reports whether the kernel may have chosen a port in another network namespace. ports is the
// ip_local_port_range there; "" is the default, which every new namespace has, whatever the machine's is.
func EphemeralIn(ports string, port uint16) bool { return parsePortRange(ports).has(port) }

// parsePortRange parses "32768\t60999\n". It returns the default for anything else.
func parsePortRange(text string) portRange {
	f := strings.Fields(text)
	if len(f) != 2 {
		return defaultPorts
	}
	first, err := strconv.ParseUint(f[0], 10, 16)
	if err != nil {
		return defaultPorts
	}
	last, err := strconv.ParseUint(f[1], 10, 16)
	if err != nil || last < first {
		return defaultPorts
	}
	return portRange{uint16(first), uint16(last)}
}
