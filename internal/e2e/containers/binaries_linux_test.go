package containers

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	users["binaries"] = func(t *testing.T) {
		image := require(t)
		options := []netzerotest.Option{netzerotest.Driver()}
		if os.Getenv("SHOP_BINARIES") != "" {
			options = append(options, netzerotest.Binaries())
		}
		if os.Getenv("SHOP_CILIUM") != "" {
			options = append(options, netzerotest.Cilium())
		}
		rec := record(t, options...)
		n := newNetwork(t)
		run(t, image, "listen :5432 then wait", rec.As("db"), in(n, "db"))
		orders := run(t, image, "dial db:5432 then listen :8080 then wait", rec.As("orders"), in(n),
			testcontainers.WithExposedPorts("8080/tcp"))
		await(t, fmt.Sprintf("localhost:%d", published(t, orders, "8080/tcp")))
		if os.Getenv("SHOP_INTRUDER") == "" {
			return
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		program, err := orders.CopyFileFromContainer(t.Context(), "/peer")
		must(err)
		defer program.Close()
		text, err := io.ReadAll(program)
		must(err)
		must(orders.CopyToContainer(t.Context(), text, "/intruder", 0o755))
		code, out, err := orders.Exec(t.Context(),
			[]string{"/intruder", "dial", "db:5432", "then", "child", "dial", "db:5432", "and", "sleep", "200ms"})
		must(err)
		if said, _ := io.ReadAll(out); code != 0 {
			t.Fatalf("exit code %d: %s", code, said)
		}
	}
}

// A new program in a container is reported, even if the policy allows its flows.
func TestBinaries_NewProgram(t *testing.T) {
	require(t)
	for dialect, env := range map[string][]string{"NetworkPolicy": nil, "CiliumNetworkPolicy": {"SHOP_CILIUM=1"}} {
		t.Run(dialect, func(t *testing.T) { testNewProgram(t, env) })
	}
}

func testNewProgram(t *testing.T, env []string) {
	u := newUser(t)
	as := func(variables ...string) []string { return append(variables, env...) }
	passes := func(env []string, args ...string) string {
		t.Helper()
		out, passed := u.testWith(env, "binaries", args...)
		if !passed {
			t.Errorf("failed:\n%s", out)
		}
		return out
	}
	passes(as("SHOP_BINARIES=1"), "-update")
	u.says(u.golden(), `name: db annotations: netzero\.dev/binaries: ""`)
	u.says(u.golden(), `name: orders annotations: netzero\.dev/binaries: peer`)
	u.saysNot(passes(as("SHOP_BINARIES=1")), "netzero.dev/binaries")
	const unlisted = `intruder is not in the annotation netzero\.dev/binaries of policy orders, which lists peer`
	u.says(passes(as("SHOP_INTRUDER=1")), `orders -> db:5432/TCP was opened by intruder \(pid \d+\).*`)
	out, passed := u.testWith(as("SHOP_INTRUDER=1", "SHOP_BINARIES=1"), "binaries")
	if passed {
		t.Errorf("passed:\n%s", out)
	}
	u.says(out, `1 unexpected program `)
	u.says(out, `orders -> db:5432/TCP\n by intruder \(pid \d+\)`)
	u.says(out, `in container \S+ \(image netzero/peer\S*\)`)
	u.says(out, unlisted)
	passes(as("SHOP_INTRUDER=1", "SHOP_BINARIES=1"), "-update")
	u.says(u.golden(), `name: orders annotations: netzero\.dev/binaries: intruder,peer`)
	passes(as("SHOP_INTRUDER=1", "SHOP_BINARIES=1"))
}
