package orders_test

import (
	"cmp"
	"database/sql"
	"os"
	"testing"

	_ "github.com/lib/pq"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"

	orders "github.com/netzero-dev/netzero/examples/postgres"
	"github.com/netzero-dev/netzero/netzerotest"
)

func TestOrders(t *testing.T) {
	image := cmp.Or(os.Getenv("EXAMPLE_POSTGRES_IMAGE"), "postgres:17")
	rec := netzerotest.Record(t, netzerotest.Workload("orders"))

	container, err := postgres.Run(t.Context(), image, rec.As("orders-db"), postgres.BasicWaitStrategies())
	testcontainers.CleanupContainer(t, container)
	if err != nil {
		t.Fatal(err)
	}
	url, err := container.ConnectionString(t.Context(), "sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	store, err := orders.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for _, quantity := range []int{1, 2} {
		if err := store.Place(t.Context(), "teapot", quantity); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := store.Ordered(t.Context(), "teapot"); err != nil || got != 3 {
		t.Errorf("got %d teapots, %v; want 3", got, err)
	}
}
