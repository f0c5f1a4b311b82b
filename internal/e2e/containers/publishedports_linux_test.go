package containers

import (
	"fmt"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	users["published port"] = func(t *testing.T) {
		image := require(t)
		rec := record(t, netzerotest.Workload("checkout"))
		db := run(t, image, "listen :5432 then wait", rec.As("orders-db"), testcontainers.WithExposedPorts("5432/tcp"))
		if os.Getenv("SHOP_CALL") != "" {
			await(t, fmt.Sprintf("localhost:%d", published(t, db, "5432/tcp")))
		}
	}
}

// The dialled port differs in every run, so the failure names the container that publishes it.
func TestPublishedPorts_FailureNamesContainer(t *testing.T) {
	require(t)
	u := newUser(t)
	u.passes("published port", "-update")
	out, passed := u.testWith([]string{"SHOP_CALL=1"}, "published port")
	if passed {
		t.Errorf("passed:\n%s", out)
	}
	u.says(out, `1 unexpected flow `)
	u.says(out, `checkout -> orders-db:5432/TCP address 127\.0\.0\.1, port \d+, `+
		`which container \S+ \(image netzero/peer\S*\) publishes`)
	u.says(out, `name from container`)
	u.says(out, `checkout -> kube-dns\.kube-system:53/UDP and 53/TCP implied by the flows above: `)
}
