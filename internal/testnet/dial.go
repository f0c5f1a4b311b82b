package testnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
)

// DialContext connects from inside. Its signature is that of net.Dialer.DialContext, for use in place of it. It looks
// names up at the lab's first DNS server, without a search list, and tries their addresses one after another.
func (l *Lab) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	addresses := []string{host}
	if net.ParseIP(host) == nil {
		if addresses, err = l.Resolver().LookupHost(ctx, strings.TrimSuffix(host, ".")+"."); err != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
	}
	var errs []error
	for _, each := range addresses {
		conn, err := l.dialAddress(ctx, network, net.JoinHostPort(each, port))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("dial %s: %w", address, errors.Join(errs...))
}

// dialAddress connects to an address that needs no lookup: then net.Dialer works only on the calling goroutine.
func (l *Lab) dialAddress(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = l.wire.inside(func() error {
		dialer := net.Dialer{FallbackDelay: -1}
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Resolver returns Go's resolver with the lab's first DNS server, queried from inside. It reads the machine's
// /etc/hosts and the search list of the machine's /etc/resolv.conf; a trailing dot in a name excludes the search list.
func (l *Lab) Resolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			l.mu.Lock()
			resolvers := l.resolvers
			l.mu.Unlock()
			if len(resolvers) == 0 {
				return nil, errors.New("the lab has no DNS server")
			}
			return l.dialAddress(ctx, network, resolvers[0].String())
		},
	}
}
