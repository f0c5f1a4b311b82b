package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	users["detected"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Workload("checkout"))
		defer rec.Flows() // an unpassed container must live until the engine was queried
		n := newNetwork(t)
		run(t, image, "listen :5432 then wait", in(n, "db"))
		orders := run(t, image, "dial db:5432 then listen :8080 then wait", in(n, "orders"),
			testcontainers.WithExposedPorts("8080/tcp"))
		await(t, fmt.Sprintf("localhost:%d", published(t, orders, "8080/tcp")))
		other := newNetwork(t)
		run(t, image, "listen :6379 then wait", in(other, "queue"))
		succeeded(t, run(t, image, "dial queue:6379", in(other, "worker"), toEnd()))
	}
	users["other process"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Workload("checkout"))
		c := run(t, image, "listen :5432 then wait", testcontainers.WithExposedPorts("5432/tcp"),
			testcontainers.WithLabels(map[string]string{"dev.netzero.recording": "another-test-process",
				"dev.netzero.workload": "theirs"}))
		await(t, fmt.Sprintf("localhost:%d", published(t, c, "5432/tcp")))
		rec.Flows() // an unpassed container must live until the engine was queried
	}
	users["compose"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Workload("checkout"))
		defer rec.Flows()
		n := newNetwork(t)
		service := func(name string) testcontainers.ContainerCustomizer {
			return testcontainers.WithLabels(map[string]string{"com.docker.compose.project": "netzero-test-shop",
				"com.docker.compose.service": name})
		}
		c := run(t, image, "listen :8080 then wait", service("front"), in(n, "front"),
			testcontainers.WithExposedPorts("8080/tcp"))
		await(t, fmt.Sprintf("localhost:%d", published(t, c, "8080/tcp")))
		// These two only exchange traffic with each other.
		run(t, image, "listen :5432 then wait", service("store"), in(n, "store"))
		succeeded(t, run(t, image, "dial store:5432", service("cron"), in(n, "cron"), toEnd()))
	}
	users["new dependency"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Driver())
		n := newNetwork(t)
		run(t, image, "listen :5432 :6379 then wait", rec.As("db"), in(n, "db"))
		succeeded(t, run(t, image, os.Getenv("SHOP_DIALS"), rec.As("orders"), in(n), toEnd()))
	}
	users["server of a driver"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Driver())
		n := newNetwork(t)
		port := listen(t, "0.0.0.0:0")
		succeeded(t, run(t, image, fmt.Sprintf("dial %s:%d", gatewayOf(t, n), port), rec.As("orders"), in(n), toEnd()))
	}
	users["invalid names"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Driver())
		_, err := testcontainers.Run(t.Context(), image, rec.As("Orders DB"))
		t.Log(err)
		_, err = testcontainers.Run(t.Context(), image, rec.As("orders"), rec.As("db"))
		t.Fatal(err)
	}
}

// Containers that were not passed to the recording are detected by their relation to the test.
func TestOwners_Detected(t *testing.T) {
	require(t)
	u := newUser(t)
	u.passes("detected", "-update")
	golden := u.golden()
	u.says(golden, "name: checkout")
	u.says(golden, "name: orders")
	u.says(golden, "name: db")
	u.says(golden, "name: queue") // the test talks to neither, but starts both
	u.says(golden, "name: worker")
	u.passes("detected")
}

// A container of another test process is at most a peer: its policy belongs to that process.
func TestOwners_OtherProcess(t *testing.T) {
	require(t)
	u := newUser(t)
	u.passes("other process", "-update")
	golden := u.golden()
	u.says(golden, "app: theirs")
	u.saysNot(golden, "name: theirs")
}

func TestOwners_ComposeProject(t *testing.T) {
	require(t)
	u := newUser(t)
	u.passes("compose", "-update")
	for _, name := range []string{"checkout", "cron", "front", "store"} {
		u.says(u.golden(), "name: "+name)
	}
}

// A new dependency of a container fails at both of its ends, and the printed command accepts it.
func TestUnexpectedFlow_BetweenContainers(t *testing.T) {
	require(t)
	u := newUser(t)
	dials := func(addresses string) []string { return []string{"SHOP_DIALS=dial " + addresses} }
	if out, passed := u.testWith(dials("db:5432"), "new dependency", "-update"); !passed {
		t.Fatal(out)
	}
	if out, passed := u.testWith(dials("db:5432"), "new dependency"); !passed {
		t.Error(out)
	}
	out, passed := u.testWith(dials("db:5432 db:6379"), "new dependency")
	if passed {
		t.Errorf("passed:\n%s", out)
	}
	u.says(out, "1 unexpected flow")
	u.says(out, "orders -> db:6379/TCP")
	u.says(out, `by peer`)
	u.says(out, "policy orders: ")
	u.says(out, "policy db: ")
	if out, passed := u.testWith(dials("db:5432 db:6379"), "new dependency", "-update"); !passed {
		t.Error(out)
	}
	if out, passed := u.testWith(dials("db:5432 db:6379"), "new dependency"); !passed {
		t.Error(out)
	}
}

// With Driver, a server of the test process is not any known workload.
func TestDriver_ServerNeedsPeer(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.fails("server of a driver", "-update")
	u.says(out, `orders opens port \d+ of the test process, which is no workload \(Driver\): `+
		`say what it stands for: Peer\("localhost:\d+", "name:8080"\)`)
	if _, err := os.Stat(filepath.Join(u.dir, "testdata")); err == nil {
		t.Error("a golden file was written")
	}
}

func TestAs_InvalidNames(t *testing.T) {
	require(t)
	u := newUser(t)
	out := u.fails("invalid names")
	u.says(out, `netzero: As\("Orders DB"\): name "Orders DB" has 'O' at byte 0, `+
		`only lower-case letters, digits and '-' may stand there: write "orders-db"`)
	u.says(out, `netzero: As\("db"\): the request was named "orders" already: keep one`)
}

func init() {
	users["package"] = func(t *testing.T) {
		image := require(t)
		name := os.Getenv("PACKAGE")
		rec := record(t, netzerotest.Workload(name))
		defer rec.Flows()
		n := newNetwork(t)
		run(t, image, "listen :5432 then wait", in(n, name+"-db"))
		c := run(t, image, "dial "+name+"-db:5432 then listen :8080 then wait", in(n, name+"-service"),
			testcontainers.WithExposedPorts("8080/tcp"))
		await(t, fmt.Sprintf("localhost:%d", published(t, c, "8080/tcp")))
	}
}

// Packages that are tested at once share testcontainers' session: their traffic shows which containers are theirs.
func TestOwners_ParallelPackages(t *testing.T) {
	require(t)
	packages := []string{"orders", "billing"}
	var users []user
	var done sync.WaitGroup
	for _, name := range packages {
		u := newUser(t)
		users = append(users, u)
		done.Go(func() {
			for _, args := range [][]string{{"-update"}, nil, nil} {
				if out, passed := u.testWith([]string{"PACKAGE=" + name}, "package", args...); !passed {
					t.Errorf("%s failed:\n%s", name, out)
				}
			}
		})
	}
	done.Wait()
	for i, name := range packages {
		golden, other := users[i].golden(), packages[1-i]
		for _, workload := range []string{name, name + "-db", name + "-service"} {
			users[i].says(golden, "name: "+workload)
		}
		users[i].saysNot(golden, other)
	}
}
