package containers

import (
	"fmt"
	"net/netip"
	"testing"

	networktypes "github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"

	"github.com/netzero-dev/netzero/netzerotest"
)

// An address moves from one running container to another, without a new cgroup.
func TestAddressThatMoves(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	n := newNetwork(t, network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{{Subnet: netip.MustParsePrefix("198.51.100.128/26")}}}))
	const address = "198.51.100.150"
	first := run(t, image, "listen :5432 then wait", rec.As("first"))
	second := run(t, image, "listen :5432 then wait", rec.As("second"))
	for range 2 {
		for _, c := range []testcontainers.Container{first, second} {
			docker(t, "network", "connect", "--ip", address, n.Name, c.GetContainerID())
			await(t, address+":5432")
			docker(t, "network", "disconnect", n.Name, c.GetContainerID())
		}
	}
}

// Docker chooses a new random published port when the container leaves the network of the old one.
func TestPublishedPortThatMoves(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	n, other := newNetwork(t), newNetwork(t)
	c := run(t, image, "listen :8080 then wait", rec.As("hub"), in(n, "hub"), testcontainers.WithExposedPorts("8080/tcp"))
	await(t, fmt.Sprintf("localhost:%d", published(t, c, "8080/tcp")))
	docker(t, "network", "connect", other.Name, c.GetContainerID())
	docker(t, "network", "disconnect", n.Name, c.GetContainerID())
	await(t, fmt.Sprintf("localhost:%d", published(t, c, "8080/tcp")))
}

func init() {
	users["late"] = func(t *testing.T) {
		image := require(t)
		var rec *netzerotest.Recording
		t.Run("early", func(t *testing.T) { rec = record(t, netzerotest.Golden("early.yaml")) })
		_, err := testcontainers.Run(t.Context(), image, rec.As("late"))
		t.Fatal(err)
	}
	users["namesake"] = func(t *testing.T) {
		image := require(t)
		rec := record(t)
		run(t, image, "listen :8080 then wait", rec.As("shop"))
	}
	users["report"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Driver())
		n := newNetwork(t)
		db := run(t, image, "listen :5432 then wait", rec.As("db"), in(n, "db"), testcontainers.WithExposedPorts("5432/tcp"))
		await(t, fmt.Sprintf("localhost:%d", published(t, db, "5432/tcp")))
		if more(t) {
			succeeded(t, run(t, image, "dial db:5432", rec.As("report.stats"), in(n), toEnd()))
		}
	}
}

func TestRecordingThatHasEndedTakesNoContainer(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.fails("late", "-update")
	u.says(out, "netzero: the recording of TestUser/early has ended, so it cannot take in a container: pass that of the test that runs")
}

func TestContainerOfTheTestProcesssName(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.fails("namesake", "-update")
	u.says(out, `the test process and container \w+ are both called shop: with Driver the test process is no workload; Workload and As give other names`)
}

// The policy of a container that no longer starts stays, and is reported: with Strict it fails.
func TestPolicyOfAContainerThatIsNoMore(t *testing.T) {
	require(t)
	u := newUser(t)
	if out, passed := u.testWith([]string{"MORE=1"}, "report", "-update"); !passed {
		t.Fatal(out)
	}
	u.says(u.golden(), "name: report namespace: stats")
	if out, passed := u.testWith([]string{"MORE=1"}, "report"); !passed {
		t.Error(out)
	}
	out := u.fails("report")
	u.says(out,
		"policy report is for no workload of this run: an update keeps it; delete it where its container is no more")
}
