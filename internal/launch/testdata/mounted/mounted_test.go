// Package mounted is a test binary that the tests of package launch run in a container.
package mounted

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/netzerotest"
)

func TestRecord(t *testing.T) {
	netzerotest.Record(t)
	c, err := net.Dial("udp", "192.0.2.7:4444")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Skip(err) // no route: the connection counts, and there is none
	}
}

func TestContainer(t *testing.T) {
	c, err := testcontainers.Run(t.Context(), os.Getenv("NZ_IMAGE"), testcontainers.WithCmd("http", ":8080", "then", "wait"),
		testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithWaitStrategy(wait.ForListeningPort("8080/tcp")))
	testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(0))
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := c.Endpoint(t.Context(), "http")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
}

func TestStatus(t *testing.T) { os.Exit(7) }

func TestIdentity(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0)
	fmt.Printf("uid %d gid %d umask %03o\n", os.Getuid(), os.Getgid(), old)
	fmt.Printf("dir %s\nvariable %q\n", dir, os.Getenv("NZ_VARIABLE"))
	syscall.Umask(old)
	for _, file := range []string{"by-test", os.Getenv("HOME") + "/by-test", os.TempDir() + "/by-test"} {
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Error(err)
		}
	}
	c, err := net.Dial("unix", strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://"))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestInput(t *testing.T) {
	sum := sha256.New()
	n, err := io.Copy(sum, os.Stdin)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("read %d bytes %x\n", n, sum.Sum(nil)[:4])
}

func TestOrder(t *testing.T) {
	for i := range 300 {
		fmt.Fprintf(os.Stdout, "%d\n", 2*i)
		fmt.Fprintf(os.Stderr, "%d\n", 2*i+1)
	}
}

func TestSignals(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1, syscall.SIGUSR2)
	child := exec.Command("/proc/self/exe", "-test.run=^TestChild$")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Println("ready", os.Getpid(), child.Process.Pid)
	for s := range caught {
		fmt.Println("caught", s)
	}
}

func TestChild(t *testing.T) { select {} }
