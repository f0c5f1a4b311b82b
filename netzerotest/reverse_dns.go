package netzerotest

import (
	"context"
	"net/netip"

	"github.com/netzero-dev/netzero/internal/rdns"
	"github.com/netzero-dev/netzero/internal/recorder"
)

// reverseDNS returns the names of addresses. It queries nothing while this process is recorded for another test, or by
// the process that started it, because the queries would be flows of that recording.
func reverseDNS(addrs []netip.Addr) (names map[netip.Addr]string) {
	recorder.Unrecorded(func() { names = rdns.Names(context.Background(), addrs) })
	return names
}
