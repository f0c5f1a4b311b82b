package environments

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// address is the server's address. It is fixed, because it is in the golden file.
const address = "127.0.0.1:7411"

// TestRecorded is the user's test. It records one flow to a process that it starts.
func TestRecorded(t *testing.T) {
	if !child {
		testenv.RequireRoot(t)
	}
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), actVariable+"=serve")
	server.Stderr = os.Stderr
	// It ends after the recording, because some kernels do not name executables that have ended.
	t.Cleanup(func() {
		if server.Process != nil {
			server.Process.Kill()
			server.Wait()
		}
	})
	netzerotest.Record(t, netzerotest.Workload("shop"))
	started, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(started).ReadString('\n'); err != nil {
		t.Fatalf("the server does not start: %v", err)
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
