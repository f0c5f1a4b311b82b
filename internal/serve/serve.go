// Package serve serves the results of a run over HTTP while its tests run: the page for a browser, flows and policies
// as JSON, and metrics for Prometheus.
//
// It answers GET and HEAD only, and only requests to the address on which it listens: a site whose name resolves to
// that address, as in DNS rebinding, gets an error. Pages of other sites cannot read or frame what it serves. It has no
// password and no encryption, so it is for loopback or a trusted network. It opens no file.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Limits of a connection.
const (
	readTimeout    = 10 * time.Second // of a request
	writeTimeout   = time.Minute      // of an answer, with the time to make it
	idleTimeout    = 2 * time.Minute  // between requests
	shutdownWait   = 5 * time.Second  // for answers that are on their way
	maxHeaderBytes = 16 << 10
)

// Listen listens on an address such as "127.0.0.1:8080", "[::1]:0" or "ci.example.com:9090". Port 0 is any free port.
// Without a host it listens on loopback. The error says what to do.
func Listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%w: want HOST:PORT, such as 127.0.0.1:8080; port 0 is any free port", err) // names it
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%w: name another port, or 0 for any free port", err)
	}
	return listener, err
}

// URL returns where a browser of this machine finds the server.
func URL(listener net.Listener) string {
	addr := bound(listener)
	host := addr.Addr().String()
	if addr.Addr().IsUnspecified() {
		host = "localhost"
	}
	return fmt.Sprintf("http://%s/", net.JoinHostPort(host, fmt.Sprint(addr.Port())))
}

// IsExposed reports whether other machines may reach the listener.
func IsExposed(listener net.Listener) bool { return !bound(listener).Addr().IsLoopback() }

// bound returns the address of a listener.
func bound(listener net.Listener) netip.AddrPort {
	addr := listener.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// Serve answers requests until the context ends, and then those that are on their way. It closes the listener. Address
// is that of [Listen], whose host name requests may use.
func Serve(
	ctx context.Context, listener net.Listener, address string, results http.Handler, errorLog *log.Logger,
) error {
	name, _, _ := net.SplitHostPort(address)
	server := newServer(guard(results, bound(listener).Addr(), name), errorLog)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownWait)
	defer cancel()
	err := server.Shutdown(wait)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// newServer returns a server of which no client can hold a connection or memory for ever.
func newServer(h http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: errorLog,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
}

// guard answers requests to other hosts with an error, and sets the headers that each answer has. Bound is the
// listener's address, and name is the host that the user has named; it may be empty.
func guard(next http.Handler, bound netip.Addr, name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		if !isServed(r.Host, bound, name) {
			http.Error(w, fmt.Sprintf("host %.100q is not served here: use the address that netzero report has printed, or "+
				"start it with -serve and the name of this host", r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isServed reports whether a request's Host may be that of the listener, whatever its port is, because ports may be
// forwarded. A name of an attacker may resolve to the listener's address, but an address cannot. So where the listener
// has no address of its own, any address will do.
func isServed(host string, bound netip.Addr, name string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return bound.IsUnspecified() || addr == bound || addr.IsLoopback()
	}
	return host != "" && (strings.EqualFold(host, "localhost") || strings.EqualFold(host, name))
}
