package netzerotest

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// A leak checker that runs after the recording finds nothing of it.
func TestRecord_LeavesNoGoroutine(t *testing.T) {
	testenv.RequireRoot(t)
	golden := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(golden, []byte(leavesDenyAll), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Run("recorded", func(t *testing.T) {
		Record(t, Workload("leaves"), Golden(golden), Requests())
		server, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		conn, err := net.Dial("tcp", server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
	all := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		if strings.Contains(stack, "netzero-dev/netzero/internal/") {
			t.Errorf("a goroutine is left:\n%s", stack)
		}
	}
}

const leavesDenyAll = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: leaves
spec:
  podSelector:
    matchLabels:
      app: leaves
  policyTypes:
  - Egress
`
