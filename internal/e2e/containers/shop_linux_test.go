package containers

import (
	"fmt"
	"net"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/netzerotest"
)

// The test process, a service and its dependency: each gets a policy, and both ends match.
func TestPolicies_EachWorkload(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	n := newNetwork(t)
	run(t, image, "listen :5432 then wait", rec.As("orders-db"), in(n, "db"))
	run(t, image, "listen :6379 then wait", rec, in(n, "cache"))
	orders := run(t, image, "http :8080 then dial db:5432 cache:6379 then wait", rec.As("orders"), in(n, "orders"),
		testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithWaitStrategy(wait.ForListeningPort("8080/tcp")))
	dial(t, fmt.Sprintf("localhost:%d", published(t, orders, "8080/tcp")))
	awaitLogs(t, orders, 2)
}

// A test that only drives is no workload: the service's callers in production are unknown.
func TestDriver_NoWorkload(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :5432 then wait", rec.As("orders-db"), in(n, "db"))
	orders := run(t, image, "http :8080 then dial db:5432 then wait", rec.As("orders"), in(n),
		testcontainers.WithExposedPorts("8080/tcp"))
	dial(t, fmt.Sprintf("127.0.0.1:%d", published(t, orders, "8080/tcp")))
	awaitLogs(t, orders, 1)
}

// The same in the Cilium dialect: callers from anywhere, pods by their labels.
func TestCilium_Driver(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver(), netzerotest.Cilium())
	n := newNetwork(t)
	run(t, image, "listen :5432 then wait", rec.As("orders-db"), in(n, "db"))
	orders := run(t, image, "http :8080 then dial db:5432 then wait", rec.As("orders"), in(n),
		testcontainers.WithExposedPorts("8080/tcp"))
	dial(t, fmt.Sprintf("127.0.0.1:%d", published(t, orders, "8080/tcp")))
	awaitLogs(t, orders, 1)
}

// testcontainers waits for the container: the test process itself has no flow to this database.
func TestWaitStrategies_AreInfrastructure(t *testing.T) {
	image := require(t)
	rec := record(t)
	n := newNetwork(t)
	run(t, image, "listen :5432 then wait", rec, in(n, "db"), testcontainers.WithExposedPorts("5432/tcp"),
		testcontainers.WithWaitStrategy(wait.ForListeningPort("5432/tcp").SkipInternalCheck()))
	succeeded(t, run(t, image, "dial db:5432", rec.As("batch"), in(n), toEnd()))
}

// The same port twice, while it was waited for and after: the second time is the test's.
func TestWaitStrategies_LaterCallIsFlow(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Workload("checkout"))
	db := run(t, image, "listen :5432 then wait", rec.As("db"), testcontainers.WithExposedPorts("5432/tcp"),
		testcontainers.WithWaitStrategy(wait.ForListeningPort("5432/tcp").SkipInternalCheck()))
	dial(t, fmt.Sprintf("localhost:%d", published(t, db, "5432/tcp")))
}

// One name in two namespaces is two workloads.
func TestNamespaces_SameName(t *testing.T) {
	image := require(t)
	rec := record(t, netzerotest.Driver())
	n := newNetwork(t)
	run(t, image, "listen :5432 then wait", rec.As("db.billing"), in(n, "billing-db"))
	run(t, image, "listen :5433 then wait", rec.As("db.orders"), in(n, "orders-db"))
	succeeded(t, run(t, image, "dial billing-db:5432 orders-db:5433", rec.As("report"), in(n), toEnd()))
}

func dial(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
