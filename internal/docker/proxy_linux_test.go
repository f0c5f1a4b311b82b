package docker

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// socket returns the path of the real engine's socket.
func socket(t *testing.T) string {
	t.Helper()
	requireDocker(t)
	w, err := Watch(t.Context(), Config{})
	check(t, err)
	defer w.Close()
	e := w.Endpoint()
	if e.Network != "unix" {
		t.Skipf("this test needs an engine behind a Unix socket, not %s", w.Engine().Host)
	}
	return e.Address
}

// line is a socket between a client and the engine that can become silent or break.
type line struct {
	host     string // for Config.Host
	real     string
	listener net.Listener

	mu      sync.Mutex
	conns   map[net.Conn]*sync.Mutex // held: the connection is silent
	held    []*sync.Mutex
	silent  bool // new connections, too
	refuses bool
}

func newLine(t *testing.T) *line {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	check(t, err)
	l := &line{host: "unix://" + path, real: socket(t), listener: listener, conns: make(map[net.Conn]*sync.Mutex)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(conn)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		l.speak()
		l.cut()
	})
	return l
}

func (l *line) serve(conn net.Conn) {
	defer conn.Close()
	engine, err := net.Dial("unix", l.real)
	if err != nil {
		return
	}
	defer engine.Close()
	gate := new(sync.Mutex)
	l.mu.Lock()
	if l.refuses {
		l.mu.Unlock()
		return
	}
	if l.silent {
		gate.Lock()
		l.held = append(l.held, gate)
	}
	l.conns[conn] = gate
	l.mu.Unlock()
	go func() {
		defer conn.Close()
		carry(conn, engine, gate)
	}()
	carry(engine, conn, gate)
	l.mu.Lock()
	delete(l.conns, conn)
	l.mu.Unlock()
}

func carry(to, from net.Conn, gate *sync.Mutex) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		gate.Lock()
		_, broken := to.Write(buffer[:n])
		gate.Unlock()
		if err != nil || broken != nil {
			return
		}
	}
}

// hush silences the existing connections, and with all new ones too.
func (l *line) hush(all bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = all
	for _, gate := range l.conns {
		gate.Lock()
		l.held = append(l.held, gate)
	}
}

// speak ends all silence.
func (l *line) speak() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, gate := range l.held {
		gate.Unlock()
	}
	l.held, l.silent = nil, false
}

// cut breaks all connections, and with refuse rejects new ones until cut(false).
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		conn.Close()
	}
}

func (l *line) refuse(refuses bool) {
	l.mu.Lock()
	l.refuses = refuses
	l.mu.Unlock()
	if refuses {
		l.cut()
	}
}

// standIn serves the real engine's answers in another engine's form, and returns the host to query. ask may answer by
// itself and then returns true; answer may change the engine's answer.
func standIn(t *testing.T, ask func(http.ResponseWriter, *http.Request) bool,
	answer func(*http.Response) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	check(t, err)
	real := socket(t)
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn,
		error) {
		return net.Dial("unix", real)
	}}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	proxy.Transport, proxy.FlushInterval, proxy.ModifyResponse = transport, -1, answer
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ask == nil || !ask(w, r) {
			proxy.ServeHTTP(w, r)
		}
	})}
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Close()
		transport.CloseIdleConnections()
	})
	return "unix://" + path
}
