package recorder

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
)

// A process that never had a child and is not a client of an engine cannot have started a container. So it does not report
// containers of other packages.
func TestOlderContainers_MayStartContainers(t *testing.T) {
	const variable = "NETZERO_TEST_CHILDREN"
	if children := os.Getenv(variable); children != "" {
		if children == "one" {
			if err := exec.Command("true").Run(); err != nil {
				t.Fatal(err)
			}
		}
		if children == "running" {
			sleeper := exec.Command("sleep", "60")
			if err := sleeper.Start(); err != nil {
				t.Fatal(err)
			}
			defer sleeper.Wait()
			defer sleeper.Process.Kill()
		}
		t.Logf("may: %t", mayStartContainers())
		return
	}
	for children, want := range map[string]string{"none": "may: false", "one": "may: true", "running": "may: true"} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), variable+"="+children)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: want %q: %v\n%s", children, want, err, out)
		}
	}
}

type anyEngine = Engine // an embedded field of another name than the method Engine

// knownContainers is an engine that answers nothing but Container.
type knownContainers struct {
	anyEngine
	containers map[string]docker.Container
}

func (e knownContainers) Container(id string) (docker.Container, bool) {
	c, known := e.containers[id]
	return c, known
}

// A notice names the network, so it must not depend on the order of a map.
func TestOlderContainers_SharedNetworkIsFirstByName(t *testing.T) {
	in := func(networks ...string) docker.Container {
		var c docker.Container
		for _, n := range networks {
			c.Networks = append(c.Networks, docker.Attachment{Network: n, NetworkID: "id of " + n})
		}
		return c
	}
	r := &resolution{
		engine: knownContainers{containers: map[string]docker.Container{"db": in("front", "bridge"), "cache": in("back")}},
		owned:  map[string]bool{"db": true, "cache": true},
	}
	for range 100 {
		if got := r.sharedNetwork(in("bridge", "front", "back")); got != "back" {
			t.Fatalf("shared network %q, want back", got)
		}
	}
	if got := r.sharedNetwork(in("bridge", "other")); got != "" {
		t.Errorf("shared network %q of containers that share only the default one", got)
	}
}
