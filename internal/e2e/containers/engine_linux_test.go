package containers

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

// proxy forwards a user's requests to the real engine, until it is stalled.
type proxy struct {
	listener net.Listener
	engine   string

	mu      sync.Mutex
	stalled bool
	open    []net.Conn
}

func newProxy(t *testing.T, network, address string) *proxy {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, engine: "/var/run/docker.sock"}
	if host := os.Getenv("DOCKER_HOST"); len(host) > len("unix://") {
		p.engine = host[len("unix://"):]
	}
	go p.serve()
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.open {
			c.Close()
		}
	})
	return p
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.keep(client)
		if p.isStalled() {
			continue // accepted, and never answered
		}
		engine, err := net.Dial("unix", p.engine)
		if err != nil {
			client.Close()
			continue
		}
		p.keep(engine)
		go p.copy(engine, client)
		go p.copy(client, engine)
	}
}

func (p *proxy) keep(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, c)
}

func (p *proxy) isStalled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stalled
}

// stall blocks all traffic from now on.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

func (p *proxy) copy(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if p.isStalled() {
			return
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			if half, ok := to.(interface{ CloseWrite() error }); ok && err == io.EOF {
				half.CloseWrite()
				return
			}
			to.Close()
			return
		}
	}
}

func init() {
	users["engine"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Workload("checkout"))
		c, err := testcontainers.Run(t.Context(), image, rec.As("db"),
			testcontainers.WithCmd("listen", ":5432", "then", "wait"),
			testcontainers.WithExposedPorts("5432/tcp"), testcontainers.WithName(os.Getenv("DB_NAME")))
		if err != nil {
			t.Fatal(err)
		}
		await(t, fmt.Sprintf("localhost:%d", published(t, c, "5432/tcp")))
		if gate := os.Getenv("GATE"); gate != "" { // the engine is cut off now
			if err := os.WriteFile(gate, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			for {
				if _, err := os.Stat(gate); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
		if err := testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0)); err != nil {
			t.Error(err)
		}
	}
	users["no containers"] = func(t *testing.T) { record(t, netzerotest.Workload("checkout")) }
}

// An engine that stops answering fails the recording, in bounded time, and no policy is written.
func TestEngine_StopsAnswering(t *testing.T) {
	require(t)
	u := newUser(t)
	p := newProxy(t, "unix", filepath.Join(t.TempDir(), "engine"))
	name := fmt.Sprintf("netzero-test-stalled-%d", os.Getpid())
	t.Cleanup(func() { docker(t, "rm", "--force", name) })
	gate := filepath.Join(t.TempDir(), "gate")
	go func() {
		for {
			if _, err := os.Stat(gate); err == nil {
				p.stall()
				os.Remove(gate)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	out, passed := u.testWith([]string{"DOCKER_HOST=unix://" + p.listener.Addr().String(), "DB_NAME=" + name,
		"GATE=" + gate}, "engine", "-update")
	if passed {
		t.Errorf("passed:\n%s", out)
	}
	u.says(out, "recording incomplete: the test has containers, and the engine cannot describe them:")
	u.says(out, "does not answer: events until now took longer than 10s")
	if _, err := os.Stat(filepath.Join(u.dir, "testdata")); err == nil {
		t.Error("a golden file was written")
	}
}

// Over TCP, the test process's requests to the engine are infrastructure.
func TestEngine_OverTCP(t *testing.T) {
	require(t)
	u := newUser(t)
	p := newProxy(t, "tcp", "127.0.0.1:0")
	env := []string{"DOCKER_HOST=tcp://" + p.listener.Addr().String(),
		"DB_NAME=" + fmt.Sprintf("netzero-test-tcp-%d", os.Getpid())}
	out, passed := u.testWith(env, "engine", "-update")
	if !passed {
		t.Errorf("failed:\n%s", out)
	}
	u.says(out, "infrastructure, not in the policy: the Docker engine: ")
	golden := u.golden()
	u.says(golden, "port: 5432")
	u.saysNot(golden, "app: containers-test") // the proxy
}

// A test without containers works without the engine.
func TestEngine_NotNeeded(t *testing.T) {
	require(t)
	u := newUser(t)
	p := newProxy(t, "unix", filepath.Join(t.TempDir(), "engine"))
	p.stall()
	for _, host := range []string{"unix://" + p.listener.Addr().String(), "unix:///nonexistent/engine"} {
		if out, passed := u.testWith([]string{"DOCKER_HOST=" + host}, "no containers", "-update"); !passed {
			t.Errorf("%s: failed:\n%s", host, out)
		}
	}
}
