package containers

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

// packageVariable contains the image of the container that a user's TestMain starts for all tests.
const packageVariable = "NETZERO_CONTAINERS_PACKAGE"

// sharedPort is where the tests reach the container that TestMain has started.
var sharedPort uint16

func TestMain(m *testing.M) {
	image := os.Getenv(packageVariable)
	if image == "" {
		code := m.Run()
		for _, dir := range binaries {
			os.RemoveAll(dir)
		}
		os.Exit(code)
	}
	rec := netzerotest.RecordPackage()
	ctx := context.Background()
	db, err := testcontainers.Run(ctx, image, rec.As("orders-db"),
		testcontainers.WithCmd("listen", ":5432", ":5433", "then", "wait"), testcontainers.WithExposedPorts("5432/tcp"))
	if err == nil {
		port, e := db.MappedPort(ctx, "5432/tcp")
		sharedPort, err = port.Num(), e
	}
	code := 1
	if err == nil {
		code = rec.Run(m)
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := testcontainers.TerminateContainer(db, testcontainers.StopTimeout(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func init() {
	users["whole package"] = func(t *testing.T) {
		for _, name := range []string{"a", "b", "c"} {
			t.Run(name, func(t *testing.T) { await(t, fmt.Sprintf("localhost:%d", sharedPort)) })
		}
		if more(t) {
			if conn, err := net.Dial("udp", "192.0.2.1:9"); err == nil {
				fmt.Fprint(conn, "hello")
				conn.Close()
			}
		}
	}
}

// A container that TestMain starts before the tests belongs to the package's recording, which has one policy for all of
// them.
func TestRecordPackage_SharedContainer(t *testing.T) {
	image := require(t)
	u := newUser(t)
	env := []string{packageVariable + "=" + image}
	golden := filepath.Join(u.dir, "testdata", "netzero", "package.yaml")
	var first string
	for range 2 {
		if out, passed := u.testWith(env, "whole package", "-update"); !passed {
			t.Fatalf("the update failed:\n%s", out)
		}
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Errorf("the second run wrote\n%s, the first one\n%s", text, first)
		}
	}
	u.says(first, `name: orders-db spec: podSelector: matchLabels: app: orders-db `+
		`policyTypes: - Egress - Ingress ingress: - from: - podSelector: matchLabels: app: shop ports: - port: 5432`)
	u.says(first, `name: shop spec: podSelector: matchLabels: app: shop policyTypes: - Egress egress:`)
	out, passed := u.testWith(append(env, "MORE=1"), "whole package")
	if passed {
		t.Errorf("a new flow passed:\n%s", out)
	}
	u.says(out, `shop -> 192.0.2.1:9/UDP`)
	u.says(out, `test TestUser denied`)
}
