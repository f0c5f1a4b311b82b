package stress

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// The database and its user.
const user = "stress"

// startPostgres starts a PostgreSQL and returns its address.
func startPostgres(t *testing.T) string {
	t.Helper()
	container, err := postgres.Run(t.Context(), testenv.ExampleImage(t, "postgres", "postgres:17"),
		postgres.WithDatabase(user), postgres.WithUsername(user), postgres.WithPassword(user),
		testcontainers.WithCmdArgs(
			"-c", fmt.Sprint("max_connections=", 2*tests*each), // each test uses all of its pools at the same time
			"-c", "authentication_timeout=10min"), // for a busy machine
		postgres.BasicWaitStrategies())
	testcontainers.CleanupContainer(t, container)
	if err != nil {
		t.Fatal(err)
	}
	address, err := container.PortEndpoint(t.Context(), "5432/tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// relayTo forwards connections to a server, so that it has many addresses.
func relayTo(address string) func(net.Conn) {
	return func(client net.Conn) {
		server, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		go func() {
			io.Copy(server, client)
			server.Close()
		}()
		io.Copy(client, server)
	}
}

// accepted is a listener for one server with many addresses. It passes on connections that other listeners accepted.
type accepted struct {
	conns chan net.Conn
	over  chan struct{}
	close func()
}

// serveGRPC starts a gRPC server with gRPC's own health service.
func serveGRPC(t *testing.T) *accepted {
	a := &accepted{conns: make(chan net.Conn), over: make(chan struct{})}
	a.close = sync.OnceFunc(func() { close(a.over) })
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	go server.Serve(a)
	t.Cleanup(server.Stop)
	return a
}

// serve passes a connection on, and returns when it is closed.
func (a *accepted) serve(conn net.Conn) {
	closed := make(chan struct{})
	select {
	case a.conns <- observed{conn, sync.OnceValue(func() error { defer close(closed); return conn.Close() })}:
		<-closed
	case <-a.over:
	}
}

func (a *accepted) Accept() (net.Conn, error) {
	select {
	case conn := <-a.conns:
		return conn, nil
	case <-a.over:
		return nil, net.ErrClosed
	}
}

func (a *accepted) Close() error { a.close(); return nil }

func (a *accepted) Addr() net.Addr { return &net.TCPAddr{} }

// observed is a connection that calls a function when it is closed.
type observed struct {
	net.Conn
	close func() error
}

func (o observed) Close() error { return o.close() }
