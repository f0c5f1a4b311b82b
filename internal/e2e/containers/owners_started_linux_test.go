package containers

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	networktypes "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	users["started"] = func(t *testing.T) {
		image := require(t)
		n := networkWithHost(t)
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		docker(t, "run", "--rm", "--network", n.Name, image, "dial 203.0.113.100:443")
	}
	users["started by a daemon"] = func(t *testing.T) {
		image := require(t)
		n := networkWithHost(t)
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		shell(t, `(setsid docker run --rm --network `+n.Name+` `+image+` dial 203.0.113.100:443; touch ended) &`)
		waitFor(t, "ended")
	}
	users["started by others"] = func(t *testing.T) {
		n := networkWithHost(t)
		netzerotest.Record(t, netzerotest.Workload("checkout"))
		if more(t) {
			events := exec.CommandContext(t.Context(), "docker", "events")
			if err := events.Start(); err != nil {
				t.Fatal(err)
			}
			defer events.Wait()
			defer events.Process.Kill()
		}
		if err := os.WriteFile("network", []byte(n.Name), 0o644); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "ended")
	}
}

// networkWithHost makes a Docker network with a host that is not a container, and listens on 203.0.113.100:443.
func networkWithHost(t *testing.T) *testcontainers.DockerNetwork {
	t.Helper()
	lab := testnet.New(t)
	lab.ServeTCP("203.0.113.100:443", nil)
	n := newNetwork(t, network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{
		{Subnet: netip.MustParsePrefix("203.0.113.0/25"), IPRange: netip.MustParsePrefix("203.0.113.0/28")},
	}}))
	if err := lab.JoinBridge("br-"+n.ID[:12], netip.MustParsePrefix("203.0.113.126/25")); err != nil {
		t.Fatal(err)
	}
	return n
}

func shell(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// waitFor waits until a file exists that is not empty, or "ended".
func waitFor(t *testing.T, file string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err == nil && (len(text) > 0 || filepath.Base(file) == "ended") {
			return string(text)
		}
		if time.Now().After(deadline) {
			t.Fatalf("there is no %s: %v", file, err)
		}
	}
}

// A container that the test's processes start with the engine's client belongs to the test, even without any other
// relation to it.
func TestOwners_StartedByTest(t *testing.T) {
	require(t)
	for _, way := range []string{"started", "started by a daemon"} {
		t.Run(way, func(t *testing.T) {
			u := newUser(t)
			u.passes(way, "-update")
			u.says(u.golden(), "name: peer")
			u.says(u.golden(), `203\.0\.113\.100/32`)
			u.passes(way, "-test.v=false")
		})
	}
}

// Another client of the engine causes no ambiguity if the test's own client names the image.
func TestOwners_OtherClientsOfEngine(t *testing.T) {
	require(t)
	events := exec.CommandContext(t.Context(), "docker", "events")
	if err := events.Start(); err != nil {
		t.Fatal(err)
	}
	defer events.Wait()
	defer events.Process.Kill()
	u := newUser(t)
	u.passes("started", "-update")
	u.says(u.golden(), `203\.0\.113\.100/32`)
}

// A container that another process starts meanwhile is in no policy and fails no test, even if the test has a client of
// the engine that cannot have started it.
func TestOwners_StartedByOthers(t *testing.T) {
	image := require(t)
	for _, row := range []struct {
		reason string
		env    []string
		run    bool // by a command that names the image; else by one that names the container
	}{
		{"the test has no client of the engine", nil, false},
		{"the test follows the engine's events", []string{"MORE=1"}, true},
		{"the test follows the engine's events, and no command names the image", []string{"MORE=1"}, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			u := newUser(t)
			var out string
			var passed bool
			done := make(chan bool)
			go func() {
				defer close(done)
				out, passed = u.testWith(row.env, "started by others", "-update", "-test.v=false")
			}()
			network := waitFor(t, filepath.Join(u.dir, "network"))
			if row.run {
				docker(t, "run", "--rm", "--network", network, image, "dial 203.0.113.100:443")
			} else {
				docker(t, "start", "--attach", docker(t, "create", "--rm", "--network", network, image, "dial 203.0.113.100:443"))
			}
			if err := os.WriteFile(filepath.Join(u.dir, "ended"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			<-done
			if !passed {
				t.Errorf("failed:\n%s", out)
			}
			u.saysNot(u.golden(), "203.0.113.100")
			u.saysNot(u.golden(), "peer")
			u.saysNot(out, "may have been started")
		})
	}
}
