package escapes

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

const (
	networkVariable = "ESCAPES_NETWORK" // the Docker network that reaches the hosts
	imageVariable   = "ESCAPES_IMAGE"
)

// containerWays start containers with Docker's client. None of these is passed to the recording.
var containerWays = passing("the recording was not passed to the container", []way{
	{name: "docker run", want: viaTCP, open: func(to host) error { return dockerRun("dial", to.tcp4().String()) }},
	{name: "docker run, by a child", want: viaTCP, open: func(to host) error { return run(self("docker run", to)) }},
	{name: "docker run, UDP", want: "host:8125/UDP",
		open: func(to host) error { return dockerRun("send", "hello", "udp:"+to.udp4().String()) }},
	{name: "docker run --network host", want: viaTCP, open: func(to host) error {
		return docker("run", "--rm", "--network", "host", image(), "dial", to.tcp4().String())
	}},
	{name: "docker run --network container:x", want: viaTCP, open: func(to host) error {
		return withContainer(func(id string) error {
			return docker("run", "--rm", "--network", "container:"+id, image(), "dial", to.tcp4().String())
		})
	}},
	{name: "docker run --pid host", want: viaTCP, open: func(to host) error {
		return docker("run", "--rm", "--network", network(), "--pid", "host", image(), "dial", to.tcp4().String())
	}},
	{name: "docker run, in a cgroup below the container's", want: viaTCP, open: func(to host) error {
		return docker("run", "--rm", "--network", network(), "--cap-add", "SYS_ADMIN",
			"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", image(), "nested", "dial",
			to.tcp4().String())
	}},
	{name: "docker exec", want: viaTCP, open: func(to host) error {
		return withContainer(func(id string) error { return docker("exec", id, "/peer", "dial", to.tcp4().String()) })
	}},
	{name: "docker exec in an earlier container", want: viaTCP, early: func(to host) (func() error, error) {
		id, remove, err := startContainer("wait")
		return func() error {
			return errors.Join(docker("exec", id, "/peer", "dial", to.tcp4().String()), remove())
		}, err
	}},
	{name: "docker restart", want: viaTCP, open: func(to host) error {
		id, remove, err := startContainer("dial", to.tcp4().String(), "then", "wait")
		if err != nil {
			return err
		}
		return errors.Join(awaitLog(id, 1), docker("restart", "--time", "0", id), awaitLog(id, 2), remove())
	}},
	{name: "docker restart of an earlier container", want: viaTCP, early: func(to host) (func() error, error) {
		id, remove, err := startContainer("dial", to.tcp4().String(), "then", "wait")
		if err == nil {
			err = awaitLog(id, 1)
		}
		return func() error { return errors.Join(docker("restart", "--time", "0", id), awaitLog(id, 2), remove()) }, err
	}},
	{name: "docker run, killed at once", want: viaTCP, open: func(to host) error {
		id, remove, err := startContainer("dial", to.tcp4().String(), "then", "wait")
		if err != nil {
			return err
		}
		return errors.Join(awaitLog(id, 1), remove())
	}},
})

// passing returns ways that Enforce does not refuse for the same reason.
func passing(reason string, ways []way) []way {
	for i := range ways {
		ways[i].passes = reason
	}
	return ways
}

func init() {
	children["docker run"] = func(to host) error { return dockerRun("dial", to.tcp4().String()) }
}

func network() string { return os.Getenv(networkVariable) }
func image() string   { return os.Getenv(imageVariable) }

// docker runs Docker's client.
func docker(args ...string) error {
	_, err := dockerSays(args...)
	return err
}

func dockerSays(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// dockerRun runs a container to its end.
func dockerRun(command ...string) error {
	return docker(append([]string{"run", "--rm", "--network", network(), image()}, command...)...)
}

// startContainer starts a container, and returns a function that removes it.
func startContainer(command ...string) (id string, remove func() error, err error) {
	id, err = dockerSays(append([]string{"run", "--detach", "--network", network(), image()}, command...)...)
	return id, func() error { return docker("rm", "--force", id) }, err
}

// withContainer runs an idle container.
func withContainer(use func(id string) error) error {
	id, remove, err := startContainer("wait")
	if err != nil {
		return err
	}
	return errors.Join(use(id), remove())
}

// awaitLog waits until a container has connected n times.
func awaitLog(id string, n int) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		text, err := dockerSays("logs", id)
		if err != nil || strings.Count(text, "connected to") >= n {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the container connects %d times, want %d: %s", strings.Count(text, "connected to"), n, text)
		}
	}
}

// joinDocker makes a Docker network that reaches the hosts of the containers' rows.
func (r *rig) joinDocker(t *testing.T) {
	t.Helper()
	r.image = testenv.Image(t, "peer")
	r.network = fmt.Sprintf("netzero-escapes-%d", os.Getpid())
	id, err := dockerSays("network", "create", "--subnet", "198.51.100.0/25", "--ip-range", "198.51.100.0/28", r.network)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := docker("network", "rm", r.network); err != nil {
			t.Error(err)
		}
	})
	r.lab.Host(lastInDocker.Addr().String())
	r.bridge = "br-" + id[:12]
	if err := r.lab.JoinBridge(r.bridge, netip.MustParsePrefix("198.51.100.126/25")); err != nil {
		t.Fatal(err)
	}
}

func TestWaysOut_Containers(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireDocker(t)
	r := newRig(t)
	r.joinDocker(t)
	all := r.recordAll(t, true, exec.CommandContext)
	for _, g := range groups {
		if g.container {
			r.compare(t, g, all)
		}
	}
}
