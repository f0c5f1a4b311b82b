package containers

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// A client of an engine keeps its connection open for the next request. It may start a container only while it waits
// for an answer.
func TestCallsOfEngine_IdleConnection(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	arrived, answer := make(chan bool), make(chan bool)
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-answer
	})}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	defer func() { server.Close(); <-done }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	id := goroutine.NewID()
	for range 2 { // the second time over the same connection
		got := make(chan error)
		go func() {
			defer goroutine.Mark(id)()
			response, err := client.Post("http://engine/containers/0123/start", "", nil)
			if err == nil {
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
			got <- err
		}()
		<-arrived
		if diff := cmp.Diff(map[string]Calls{id.String(): {}}, CallsOfEngine()); diff != "" {
			t.Errorf("in the middle of a request, by an unknown client (-want +got):\n%s", diff)
		}
		answer <- true
		if err := <-got; err != nil {
			t.Fatal(err)
		}
		if calls := CallsOfEngine(); len(calls) > 0 {
			t.Errorf("while the connection is idle: %+v", calls)
		}
	}
}

// A call of Docker's own client is a call of an engine, whatever the address of the server.
func TestCallsOfEngine_DockerClient(t *testing.T) {
	arrived, answer := make(chan bool), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- true
		<-answer
	}))
	defer server.Close()
	docker, err := client.New(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithAPIVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	defer docker.Close()
	id := goroutine.NewID()
	done := make(chan bool)
	go func() {
		defer close(done)
		defer goroutine.Mark(id)()
		docker.ContainerStart(t.Context(), "0123", client.ContainerStartOptions{})
	}()
	<-arrived
	if calls := CallsOfEngine(); calls[id.String()] != (Calls{ByClient: true}) {
		t.Errorf("%+v, want %s by a client of an engine", calls, id)
	}
	close(answer)
	<-done
}
