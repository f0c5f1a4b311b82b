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
func TestAddresses_Moved(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	n := newNetwork(t, network.WithIPAM(&networktypes.IPAM{Config: []networktypes.IPAMConfig{
		{Subnet: netip.MustParsePrefix("198.51.100.128/26")},
	}}))
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
func TestPublishedPorts_Changed(t *testing.T) {
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
	users["ended recording"] = func(t *testing.T) {
		image := require(t)
		var rec *netzerotest.Recording
		t.Run("early", func(t *testing.T) { rec = record(t, netzerotest.Golden("early.yaml")) })
		_, err := testcontainers.Run(t.Context(), image, rec.As("late"))
		t.Fatal(err)
	}
	users["name of the test process"] = func(t *testing.T) {
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

func TestAs_EndedRecording(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.fails("ended recording", "-update")
	u.says(out, `netzero: As\("late"\): the recording of TestUser/early has ended and cannot record a container: `+
		"pass the recording of the running test")
}

func TestAs_NameOfTestProcess(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.fails("name of the test process", "-update")
	u.says(out, `the test process and container \w+ have the same name, shop: rename one with Workload or As, `+
		`or use Driver if the test process is no workload`)
}

// The policy of a container that no longer starts stays in the file and is reported. With Strict the test fails.
func TestPolicies_RemovedContainer(t *testing.T) {
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
		"policy report is for no workload of this run: an update keeps it; delete it if its container no longer exists")
}
