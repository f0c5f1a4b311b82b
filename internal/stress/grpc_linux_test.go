package stress

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// gRPC dials in goroutines that its client started earlier. The stack is that of the call that waits for the
// connection.
func TestStacks_GRPCCaller(t *testing.T) {
	testenv.RequireRoot(t)
	for _, row := range []struct {
		reason string
		dial   func(t *testing.T, address string) *grpc.ClientConn
	}{
		{"the calling goroutine made the client", newClient},
		{"a goroutine that has ended made the client", func(t *testing.T, address string) (client *grpc.ClientConn) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				client = newClient(t, address)
			}()
			<-done
			return client
		}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server := grpc.NewServer()
			grpc_health_v1.RegisterHealthServer(server, health.NewServer())
			accept := make(chan struct{})
			go func() {
				<-accept // when the call certainly waits
				server.Serve(listener)
			}()
			t.Cleanup(server.Stop)
			t.Setenv("NETZERO_UPDATE", "1")
			t.Setenv("CI", "") // in CI no policy is written
			recording := netzerotest.Record(t, netzerotest.Golden(filepath.Join(t.TempDir(), "policy.yaml")),
				netzerotest.Peer(listener.Addr().String(), "stock:9000"))
			go func() {
				for len(recording.Flows()) == 0 && t.Context().Err() == nil {
					time.Sleep(10 * time.Millisecond)
				}
				close(accept)
			}()
			checkHealth(t, row.dial(t, listener.Addr().String()))
			calledBy := func(f netzerotest.Flow) bool {
				return slices.ContainsFunc(f.Process.Stack,
					func(c flow.Frame) bool { return strings.HasSuffix(c.Function, "/stress.checkHealth") })
			}
			if flows := recording.Flows(); !slices.ContainsFunc(flows, calledBy) {
				for _, f := range flows {
					t.Errorf("%s was called by\n%+v", f.Target(), f.Process.Stack)
				}
			}
		})
	}
}

func newClient(t *testing.T, address string) *grpc.ClientConn {
	client, err := grpc.NewClient("dns:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func checkHealth(t *testing.T, client *grpc.ClientConn) {
	if _, err := grpc_health_v1.NewHealthClient(client).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{},
		grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}
