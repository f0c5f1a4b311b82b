// Package rdns looks up the reverse-DNS names of addresses, as hints for people who read why a test failed.
//
// The owner of an address can return any name. So a name from here is a hint, not an identity: it names no endpoint,
// never appears in a policy, and changes no verdict. The package limits time and load: few addresses, each queried
// once, all in parallel. An address without an answer within [Patience] gets no name.
package rdns

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Limits of one call.
const (
	Patience = time.Second // for all addresses together: a failed test has printed nothing until then
	MaxAddrs = 8
)

// Names returns the reverse-DNS names of addresses, as this process's resolver knows them, in lower case without the
// trailing dot. Of several names it returns the alphabetically first one. It queries only public and private addresses,
// at most [MaxAddrs], in their order; loopback, link-local and multicast addresses have no useful names. Addresses with
// an error have no name.
func Names(ctx context.Context, addrs []netip.Addr) map[netip.Addr]string {
	// A resolver of its own: tests replace net.DefaultResolver, and are over by now.
	return names(ctx, &net.Resolver{PreferGo: true}, addrs)
}

func names(ctx context.Context, resolver *net.Resolver, addrs []netip.Addr) map[netip.Addr]string {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	addrs = worthAsking(addrs)
	said := make([]string, len(addrs))
	answered := make(chan int)
	for i, addr := range addrs {
		go func() {
			found, _ := resolver.LookupAddr(ctx, addr.String()) // the result may contain valid names despite an error
			if len(found) > 0 {
				said[i] = strings.ToLower(strings.TrimSuffix(slices.Min(found), "."))
			}
			answered <- i
		}()
	}
	names := make(map[netip.Addr]string)
	for range addrs {
		if i := <-answered; said[i] != "" { // LookupAddr ends with the context
			names[addrs[i]] = said[i]
		}
	}
	return names
}

func worthAsking(addrs []netip.Addr) []netip.Addr {
	var worth []netip.Addr
	for _, addr := range addrs {
		isOurs := addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified()
		if addr = addr.Unmap().WithZone(""); addr.IsValid() && !isOurs && addr != flow.MetadataService &&
			!slices.Contains(worth, addr) {
			worth = append(worth, addr)
		}
	}
	return worth[:min(len(worth), MaxAddrs)]
}
