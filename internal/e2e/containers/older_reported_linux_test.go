package containers

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	networktypes "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

const (
	serverAddress = "198.51.100.150:443"
	// keepsDialing is a container that connects to serverAddress by itself, also during the recording.
	keepsDialing = "repeat 600 child dial " + serverAddress + " and sleep 100ms"
)

func init() {
	// Each function starts a container, as TestMain does, and returns what happens during the recording.
	for name, start := range map[string]func(t *testing.T, image string, n *testcontainers.DockerNetwork,
		lab *testnet.Server) func(){
		"older, Exec of testcontainers": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			_ *testnet.Server) func() {
			c := run(t, image, "wait", in(n))
			return func() {
				if code, _, err := c.Exec(t.Context(), []string{"/peer", "dial", serverAddress}); err != nil || code != 0 {
					t.Fatalf("exit code %d, %v", code, err)
				}
			}
		},
		"older, stopped and started by testcontainers": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			_ *testnet.Server) func() {
			c := run(t, image, "dial "+serverAddress+" then wait", in(n))
			return func() {
				now := time.Duration(0)
				if err := c.Stop(t.Context(), &now); err != nil {
					t.Fatal(err)
				}
				if err := c.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				awaitLogs(t, c, 2)
			}
		},
		"older, docker exec by short id": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			_ *testnet.Server) func() {
			id := runDetached(t, image, n, "wait")
			return func() { docker(t, "exec", id[:12], "/peer dial "+serverAddress) }
		},
		"older, docker exec detached": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			server *testnet.Server) func() {
			id := runDetached(t, image, n, "wait")
			return func() {
				docker(t, "exec", "--detach", id[:12], "/peer dial "+serverAddress)
				awaitUsed(t, server, 1)
			}
		},
		"older, docker restart by name": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			server *testnet.Server) func() {
			id := runDetached(t, image, n, "dial "+serverAddress+" then wait")
			awaitUsed(t, server, 1)
			name := strings.TrimPrefix(docker(t, "inspect", "--format", "{{.Name}}", id), "/")
			return func() {
				docker(t, "restart", "--time", "0", name)
				awaitUsed(t, server, 2)
			}
		},
		"older, docker exec by a shell script": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			_ *testnet.Server) func() {
			id := runDetached(t, image, n, "wait")
			return func() { shell(t, "docker exec "+id+" /peer dial "+serverAddress) }
		},
		"older, testcontainers, by itself": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			server *testnet.Server) func() {
			run(t, image, keepsDialing, in(n))
			return func() { awaitUsed(t, server, server.Used()+3) }
		},
		"older, docker run, by itself": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			server *testnet.Server) func() {
			runDetached(t, image, n, keepsDialing)
			return func() { awaitUsed(t, server, server.Used()+3) }
		},
		"older, compose, by itself": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			server *testnet.Server) func() {
			composeUp(t, image, n)
			return func() { awaitUsed(t, server, server.Used()+3) }
		},
		"older, testcontainers, on request": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			_ *testnet.Server) func() {
			c := run(t, image, "http :8080 then wait", in(n), testcontainers.WithExposedPorts("8080/tcp"))
			port := published(t, c, "8080/tcp")
			await(t, fmt.Sprintf("localhost:%d", port))
			return func() { get(t, fmt.Sprintf("http://localhost:%d/dial?to=%s", port, serverAddress)) }
		},
		"older, docker run, on request": func(t *testing.T, image string, n *testcontainers.DockerNetwork,
			_ *testnet.Server) func() {
			id := docker(t, "run", "--detach", "--network", n.Name, "--publish", "127.0.0.1::8080", image,
				"http :8080 then wait")
			t.Cleanup(func() { docker(t, "rm", "--force", id) })
			at := docker(t, "port", id, "8080/tcp")
			await(t, at)
			return func() { get(t, "http://"+at+"/dial?to="+serverAddress) }
		},
	} {
		users[name] = func(t *testing.T) {
			image := require(t)
			n, server := networkWithServer(t)
			during := start(t, image, n, server)
			awaitSibling(t)
			netzerotest.Record(t, netzerotest.Workload("checkout"))
			during()
		}
		olderOrNew = append(olderOrNew, name)
	}
	users["new, testcontainers"] = func(t *testing.T) {
		image := require(t)
		n, _ := networkWithServer(t)
		awaitSibling(t)
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		succeeded(t, run(t, image, "dial "+serverAddress, in(n), toEnd()))
	}
	users["new, compose"] = func(t *testing.T) {
		image := require(t)
		testenv.RequireCommand(t, "docker-compose", "docker-compose")
		n, server := networkWithServer(t)
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		composeUp(t, image, n)
		awaitUsed(t, server, 3)
	}
	olderOrNew = append(olderOrNew, "new, testcontainers", "new, compose")
	slices.Sort(olderOrNew)
	users["sibling that starts before"] = func(t *testing.T) {
		image := require(t)
		run(t, image, "wait")
		if err := os.WriteFile("started", []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "go")
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		if err := os.WriteFile("recording", []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "ended")
	}
	// The test has only an idle connection to the engine, which testcontainers keeps.
	users["idle connection to the engine"] = func(t *testing.T) {
		image := require(t)
		run(t, image, "wait")
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		if err := os.WriteFile("recording", []byte("1"), 0o644); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "ended")
	}
}

// olderOrNew are the names of the users in which a container opens a flow.
var olderOrNew []string

// composeUp starts a service that connects to serverAddress by itself.
func composeUp(t *testing.T, image string, n *testcontainers.DockerNetwork) {
	t.Helper()
	testenv.RequireCommand(t, "docker-compose", "docker-compose")
	if err := os.WriteFile("cron.yaml", []byte(fmt.Sprintf(`version: "3.7"
services:
  cron:
    image: %s
    command: %s
    networks: [lab]
networks:
  lab:
    external: true
    name: %s
`, image, keepsDialing, n.Name)), 0o644); err != nil {
		t.Fatal(err)
	}
	newStack(t, "cron.yaml")
}

// awaitSibling starts the recording of a sibling, if there is one, and waits for it.
func awaitSibling(t *testing.T) {
	t.Helper()
	dir := os.Getenv("SIBLING")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(dir, "recording"))
}

func runDetached(t *testing.T, image string, n *testcontainers.DockerNetwork, command string) (id string) {
	t.Helper()
	id = docker(t, "run", "--detach", "--network", n.Name, image, command)
	t.Cleanup(func() { docker(t, "rm", "--force", id) })
	return id
}

// awaitLogs waits until the log of a container of the image peer has n connections.
func awaitLogs(t *testing.T, c testcontainers.Container, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(logs(t, c),
		"connected to") < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the container does not connect %d times:\n%s", n, logs(t, c))
		}
	}
}

// awaitUsed waits until a server was used n times.
func awaitUsed(t *testing.T, s *testnet.Server, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); s.Used() < n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server was used %d times, want %d", s.Used(), n)
		}
	}
}

// A container that is older than the recording, and was not passed to it, opens a flow: it is in the policy, or the
// test fails, or a line is printed without -v.
func TestOlderContainers_NeverSilent(t *testing.T) {
	require(t)
	for _, name := range olderOrNew {
		t.Run(name, func(t *testing.T) {
			u := newUser(t)
			out, passed := u.test(name, "-update", "-test.v=false")
			golden, _ := os.ReadFile(filepath.Join(u.dir, "testdata", "netzero", "TestUser.yaml"))
			written := strings.Contains(string(golden), "198.51.100.150/32")
			failed := !passed && strings.Contains(out, "pass the recording to it")
			named := passed &&
				strings.Contains(out, "was started before the recording while this test process ran, and opened "+serverAddress)
			// These two are not related to the test.
			byItself := name == "older, docker run, by itself" || name == "older, compose, by itself"
			if byItself && !named || !byItself && written == failed {
				t.Errorf("passed %t, written %t, failed %t, named %t:\n%s\n%s", passed, written, failed, named, out, golden)
			}
		})
	}
}

// Activity in unrelated containers that are older than the recording is neither recorded nor reported.
func TestOlderContainers_ActivityOfOthers(t *testing.T) {
	image := require(t)
	for reason, act := range map[string]func(id string, c testcontainers.Container, server *testnet.Server){
		"health checks": func(_ string, _ testcontainers.Container, server *testnet.Server) {
			awaitUsed(t, server, server.Used()+3)
		},
		"docker exec": func(id string, _ testcontainers.Container, _ *testnet.Server) {
			docker(t, "exec", id, "/peer dial "+serverAddress)
		},
		"docker restart": func(id string, _ testcontainers.Container, server *testnet.Server) {
			docker(t, "restart", "--time", "0", id)
		},
		"Exec of testcontainers": func(_ string, c testcontainers.Container, _ *testnet.Server) {
			if code, _, err := c.Exec(t.Context(), []string{"/peer", "dial", serverAddress}); err != nil || code != 0 {
				t.Errorf("exit code %d, %v", code, err)
			}
		},
	} {
		t.Run(reason, func(t *testing.T) {
			n, server := networkWithServer(t)
			c := run(t, image, "wait", in(n))
			id := ""
			if reason == "health checks" {
				run(t, image, "wait", in(n), testcontainers.WithConfigModifier(func(c *container.Config) {
					c.Healthcheck = &container.HealthConfig{
						Test: []string{"CMD", "/peer", "dial", serverAddress}, Interval: time.Second,
					}
				}))
			} else {
				id = runDetached(t, image, n, "dial "+serverAddress+" then wait")
			}
			u := newUser(t)
			var out string
			var passed bool
			done := make(chan bool)
			go func() {
				defer close(done)
				out, passed = u.test("idle connection to the engine", "-update", "-test.v=false")
			}()
			waitFor(t, filepath.Join(u.dir, "recording"))
			act(id, c, server)
			if err := os.WriteFile(filepath.Join(u.dir, "ended"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			<-done
			if !passed || strings.Contains(out, serverAddress) {
				t.Errorf("passed: %t\n%s", passed, out)
			}
			u.saysNot(u.golden(), "198.51.100.150")
		})
	}
}

// Two packages in one session of testcontainers run at the same time: neither reports containers of the other.
func TestOwners_SiblingPackage(t *testing.T) {
	require(t)
	for _, name := range []string{"older, Exec of testcontainers", "older, testcontainers, by itself",
		"older, docker exec by short id", "new, testcontainers"} {
		t.Run(name, func(t *testing.T) {
			sibling := newUser(t)
			write := func(name string) {
				if err := os.WriteFile(filepath.Join(sibling.dir, name), []byte("1"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var out string
			var passed bool
			done := make(chan bool)
			go func() {
				defer close(done)
				out, passed = sibling.test("sibling that starts before", "-update", "-test.v=false")
			}()
			waitFor(t, filepath.Join(sibling.dir, "started"))
			u := newUser(t)
			users := make(chan string)
			go func() {
				text, ok := u.testWith([]string{"SIBLING=" + sibling.dir}, name, "-update", "-test.v=false")
				golden, _ := os.ReadFile(filepath.Join(u.dir, "testdata", "netzero", "TestUser.yaml"))
				if ok == !strings.Contains(string(golden), "198.51.100.150/32") {
					t.Errorf("the package that has the container: passed %t:\n%s\n%s", ok, text, golden)
				}
				users <- text
			}()
			text := <-users
			write("ended")
			<-done
			t.Logf("%s\n%s", text, out)
			if !passed || !strings.Contains(name, "docker") && strings.Contains(out, "and opened "+serverAddress) {
				t.Errorf("passed: %t\n%s", passed, out)
			}
			sibling.saysNot(sibling.golden(), "198.51.100.150")
		})
	}
}

// networkWithServer makes a Docker network with a host that is not a container, and serves at serverAddress.
func networkWithServer(t *testing.T) (*testcontainers.DockerNetwork, *testnet.Server) {
	t.Helper()
	lab := testnet.New(t)
	server := lab.ServeTCP(serverAddress, nil)
	n := newNetwork(t, network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{
		{Subnet: netip.MustParsePrefix("198.51.100.128/26"), IPRange: netip.MustParsePrefix("198.51.100.128/28")},
	}}))
	if err := lab.JoinBridge("br-"+n.ID[:12], netip.MustParsePrefix("198.51.100.190/26")); err != nil {
		t.Fatal(err)
	}
	return n, server
}
