package e2e

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Like those of resolvers, the programs Node and JDK are tested where they are installed.
func TestRequests_Clients(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "curl", "curl")
	testenv.RequireCommand(t, "nghttp", "nghttp2-client")
	testenv.RequireFile(t, "/usr/lib/python3/dist-packages/grpc/__init__.py", "python3-grpcio")
	run(t, "testdata/clients")
}
