package testnet

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
)

// ServeHTTP serves site at address. A nil site answers every request with 200 and "METHOD scheme://host/path".
func (l *Lab) ServeHTTP(address string, site http.Handler) (*Server, error) {
	return l.serveWeb(address, site, nil)
}

// ServeTLS serves site over HTTPS (HTTP/1.1 and HTTP/2) with a certificate for names and for the address itself,
// generated on demand and signed by the lab's authority: see [Lab.CAPEM]. A nil site is that of [Lab.ServeHTTP].
func (l *Lab) ServeTLS(address string, site http.Handler, names ...string) (*Server, error) {
	where, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("serve at %s: %w", address, err)
	}
	authority, err := l.trust()
	if err != nil {
		return nil, err
	}
	certificate, err := authority.issue(where.Addr(), names)
	if err != nil {
		return nil, fmt.Errorf("serve at %s: %w", address, err)
	}
	return l.serveWeb(address, site, &tls.Config{Certificates: []tls.Certificate{certificate}})
}

func (l *Lab) serveWeb(address string, site http.Handler, config *tls.Config) (*Server, error) {
	if site == nil {
		site = http.HandlerFunc(echoRequest)
	}
	return l.listen(address, func(s *Server, where netip.AddrPort) error {
		listener, err := s.listenTCP(where)
		if err != nil {
			return err
		}
		web := &http.Server{
			Handler:   site,
			TLSConfig: config,
			// Clients that do not trust the certificate are part of the tests.
			ErrorLog: log.New(io.Discard, "", 0),
		}
		s.keep(web)
		counted := countedListener{listener, s}
		s.wait.Go(func() {
			if config == nil {
				web.Serve(counted)
			} else {
				web.ServeTLS(counted, "", "")
			}
		})
		return nil
	})
}

type countedListener struct {
	net.Listener
	server *Server
}

func (l countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.server.used.Add(1)
	}
	return conn, err
}

func echoRequest(w http.ResponseWriter, r *http.Request) {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	fmt.Fprintf(w, "%s %s://%s%s\n", r.Method, scheme, r.Host, r.URL.Path)
}

// CAPool returns a pool with only the authority that signs the lab's certificates.
func (l *Lab) CAPool() (*x509.CertPool, error) {
	authority, err := l.trust()
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority.certificate)
	return pool, nil
}

// CAPEM returns the authority's certificate in PEM form, for SSL_CERT_FILE.
func (l *Lab) CAPEM() ([]byte, error) {
	authority, err := l.trust()
	if err != nil {
		return nil, err
	}
	return authority.pem(), nil
}

// Client returns an HTTP client that dials inside and trusts only the lab's authority.
func (l *Lab) Client() (*http.Client, error) {
	pool, err := l.CAPool()
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:       l.DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		ForceAttemptHTTP2: true,
		DisableKeepAlives: true, // no connection outlives a request
	}}, nil
}

// trust returns the lab's authority, which the first call makes.
func (l *Lab) trust() (*authority, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.authority == nil {
		made, err := newAuthority()
		if err != nil {
			return nil, fmt.Errorf("make authority: %w", err)
		}
		l.authority = made
	}
	return l.authority, nil
}
