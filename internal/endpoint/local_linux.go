package endpoint

import (
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
)

// readLocalAddrsOf reads the addresses that the interfaces in a process's network namespace have. It enters no namespace: the
// kernel shows its tables below /proc/<pid>/net. It returns none where they cannot be read.
func readLocalAddrsOf(pid int) localAddrs {
	local := make(localAddrs)
	if text, err := os.ReadFile(procPath(pid, "net/fib_trie")); err == nil {
		parseFibTrie(string(text), local)
	}
	if text, err := os.ReadFile(procPath(pid, "net/if_inet6")); err == nil {
		parseInet6(string(text), local)
	}
	return local
}

// parseFibTrie adds the IPv4 addresses that a routing table delivers locally: below a line with the address the type of each route to it.
//
//	|-- 203.0.113.1
//	   /32 host LOCAL
func parseFibTrie(text string, local localAddrs) {
	var addr netip.Addr
	ours := false // in the tables that the kernel fills
	for line := range strings.Lines(text) {
		switch fields := strings.Fields(line); {
		case len(fields) == 1 && strings.HasSuffix(fields[0], ":"):
			ours = fields[0] == "Main:" || fields[0] == "Local:"
		case len(fields) == 2 && fields[0] == "|--":
			addr, _ = netip.ParseAddr(fields[1])
		case len(fields) >= 3 && fields[0] == "/32" && fields[2] == "LOCAL" && ours && addr.IsValid():
			local[normal(addr)] = true
		}
	}
}

// parseInet6 adds the addresses of /proc/net/if_inet6, of which each line begins with one: 32 hexadecimal digits.
func parseInet6(text string, local localAddrs) {
	for line := range strings.Lines(text) {
		digits, _, _ := strings.Cut(line, " ")
		raw, err := hex.DecodeString(digits)
		if addr, ok := netip.AddrFromSlice(raw); err == nil && ok {
			local[normal(addr)] = true
		}
	}
}
