package endpoint

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// readLocalAddrs reads the addresses of the interfaces.
func readLocalAddrs() (localAddrs, error) {
	local := make(localAddrs)
	request := make([]byte, unix.SizeofIfAddrmsg) // of all families and interfaces
	err := dump(unix.NETLINK_ROUTE, unix.RTM_GETADDR, request, func() { clear(local) }, func(message []byte) {
		if addr, ok := addressOf(message); ok {
			local[normal(addr)] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read the addresses of this machine: %w", err)
	}
	return local, nil
}

// addressOf returns the local address of an RTM_NEWADDR message: IFA_LOCAL if present, otherwise IFA_ADDRESS, which is
// the remote one if the two differ.
func addressOf(message []byte) (netip.Addr, bool) {
	var found [3]netip.Addr
	eachAttribute(message, unix.SizeofIfAddrmsg, func(kind uint16, value []byte) {
		if kind == unix.IFA_ADDRESS || kind == unix.IFA_LOCAL {
			found[kind], _ = netip.AddrFromSlice(value)
		}
	})
	if found[unix.IFA_LOCAL].IsValid() {
		return found[unix.IFA_LOCAL], true
	}
	return found[unix.IFA_ADDRESS], found[unix.IFA_ADDRESS].IsValid()
}

// readLocalAddrsOf reads the addresses of the interfaces in a process's network namespace. It enters no namespace: the
// kernel shows the tables in /proc/<pid>/net. It returns none if they are unreadable.
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

// parseFibTrie adds the IPv4 addresses that a routing table delivers locally. Below a line with the address, each route
// to it has a line with its type:
//
//	|-- 203.0.113.1
//	   /32 host LOCAL
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

// parseInet6 adds the addresses of /proc/net/if_inet6. Each line begins with one, as 32 hexadecimal digits.
func parseInet6(text string, local localAddrs) {
	for line := range strings.Lines(text) {
		digits, _, _ := strings.Cut(line, " ")
		raw, err := hex.DecodeString(digits)
		if addr, ok := netip.AddrFromSlice(raw); err == nil && ok {
			local[normal(addr)] = true
		}
	}
}
