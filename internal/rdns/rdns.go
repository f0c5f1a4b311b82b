// Package rdns asks DNS what the owners of addresses call them, for people who read why a test failed.
//
// Whoever owns an address answers for it, with any name they like. So what is said here is a hint and no identity: it may
// name no endpoint, stand in no policy and change no verdict. It refuses to take long or to ask much: few addresses, each
// once, all at the same time, and what has not been answered when [Patience] is over stays without a name.
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

// What is asked at most.
const (
	Patience = time.Second // in all
	MaxAddrs = 8
)

// Names returns what the resolver of this process says that addresses are called: a name for each that has one, in lower
// case without the trailing dot; of several the first in alphabetical order. Only public and private addresses are asked
// for, at most [MaxAddrs] of them in their order: of loopback, link-local and multicast ones nobody outside knows. An
// error is no name.
func Names(ctx context.Context, addrs []netip.Addr) map[netip.Addr]string {
	// One of its own: tests replace net.DefaultResolver, and have ended.
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
			found, _ := resolver.LookupAddr(ctx, addr.String()) // some of them may be fit to print, with an error
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
		if addr = addr.Unmap().WithZone(""); addr.IsValid() && !isOurs && addr != flow.MetadataService && !slices.Contains(worth, addr) {
			worth = append(worth, addr)
		}
	}
	return worth[:min(len(worth), MaxAddrs)]
}
