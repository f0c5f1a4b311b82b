package containers

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// require skips the test where it cannot run, and returns the image of its containers.
func require(t *testing.T) (image string) {
	t.Helper()
	if os.Getenv(userVariable) == "" { // a user may be unprivileged
		testenv.RequireRoot(t)
	}
	return testenv.Image(t, "peer")
}

// record records the test. It fails on flows that the golden file has and the run did not see.
func record(t *testing.T, options ...netzerotest.Option) *netzerotest.Recording {
	t.Helper()
	return netzerotest.Record(t, append(options, netzerotest.Strict())...)
}

// run starts a container of the image peer, and waits only as the options require.
func run(t *testing.T, image, command string, options ...testcontainers.ContainerCustomizer) testcontainers.Container {
	t.Helper()
	options = append([]testcontainers.ContainerCustomizer{testcontainers.WithCmd(strings.Fields(command)...)}, options...)
	c, err := testcontainers.Run(t.Context(), image, options...)
	testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(0))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// toEnd makes Run wait for the container's end.
func toEnd() testcontainers.ContainerCustomizer {
	exit := wait.ForExit().WithExitTimeout(time.Minute).WithPollInterval(10 * time.Millisecond)
	return testcontainers.WithWaitStrategy(exit)
}

// succeeded fails the test unless a container has ended well.
func succeeded(t *testing.T, c testcontainers.Container) {
	t.Helper()
	state, err := c.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if state.Status != container.StateExited || state.ExitCode != 0 {
		t.Errorf("the container is %s, exit code %d:\n%s", state.Status, state.ExitCode, logs(t, c))
	}
}

func logs(t *testing.T, c testcontainers.Container) string {
	t.Helper()
	r, err := c.Logs(context.Background())
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	text, _ := io.ReadAll(r)
	return string(text)
}

// newNetwork makes a Docker network that ends with the test.
func newNetwork(t *testing.T, options ...network.NetworkCustomizer) *testcontainers.DockerNetwork {
	t.Helper()
	n, err := network.New(t.Context(), options...)
	testcontainers.CleanupNetwork(t, n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// in puts a container into a network, by aliases.
func in(n *testcontainers.DockerNetwork, aliases ...string) testcontainers.ContainerCustomizer {
	return network.WithNetwork(aliases, n)
}

// address returns the address of a container in a network, of a family.
func address(t *testing.T, c testcontainers.Container, network string, v6 bool) netip.Addr {
	t.Helper()
	inspect, err := c.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := inspect.NetworkSettings.Networks[network]
	if at == nil {
		t.Fatalf("the container is not in network %s", network)
	}
	if v6 {
		return at.GlobalIPv6Address
	}
	return at.IPAddress
}

// published returns the port of this machine at which a container's port is reached.
func published(t *testing.T, c testcontainers.Container, port string) uint16 {
	t.Helper()
	p, err := c.MappedPort(t.Context(), port)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(p.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

// withHost changes how a container is run.
func withHost(change func(*container.HostConfig)) testcontainers.ContainerCustomizer {
	return testcontainers.WithHostConfigModifier(change)
}

// await dials until the peer at the other end echoes: Docker's proxy accepts connections to a published port before
// anybody listens behind it.
func await(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := echo(address)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func echo(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	line := []byte("there?\n")
	if _, err := c.Write(line); err != nil {
		return err
	}
	_, err = io.ReadFull(c, line)
	return err
}
