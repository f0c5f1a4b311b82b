package blackbox_test

import (
	"cmp"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/modules/redis"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/netzerotest"
)

func TestShop(t *testing.T) {
	databaseImage := cmp.Or(os.Getenv("EXAMPLE_POSTGRES_IMAGE"), "postgres:17")
	cacheImage := cmp.Or(os.Getenv("EXAMPLE_REDIS_IMAGE"), "redis:7")
	service := buildShop(t) // before the recording, else the downloads of go build are recorded
	rec := netzerotest.Record(t, netzerotest.Driver(), netzerotest.Manifests("deploy/*.yaml"))

	net, err := network.New(t.Context())
	testcontainers.CleanupNetwork(t, net)
	check(t, err)
	db, err := postgres.Run(t.Context(), databaseImage, rec.As("orders-db"),
		network.WithNetwork([]string{"orders-db"}, net), postgres.WithDatabase("shop"), postgres.BasicWaitStrategies())
	testcontainers.CleanupContainer(t, db)
	check(t, err)
	cache, err := redis.Run(t.Context(), cacheImage, rec.As("cache"), network.WithNetwork([]string{"cache"}, net))
	testcontainers.CleanupContainer(t, cache)
	check(t, err)
	shop, err := testcontainers.Run(t.Context(), "", testcontainers.WithDockerfile(service), rec.As("shop"),
		network.WithNetwork([]string{"shop"}, net),
		testcontainers.WithEnv(map[string]string{
			"SHOP_DATABASE": "postgres://postgres:postgres@orders-db/shop?sslmode=disable",
			"SHOP_CACHE":    "cache:6379",
		}),
		testcontainers.WithExposedPorts("8080/tcp"),
		testcontainers.WithWaitStrategy(wait.ForHTTP("/healthz").WithPort("8080/tcp")))
	testcontainers.CleanupContainer(t, shop)
	check(t, err)

	url, err := shop.PortEndpoint(t.Context(), "8080/tcp", "http")
	check(t, err)
	for _, step := range []struct{ method, path, want string }{
		{"GET", "/popular?product=teapot", "0\n"},
		{"POST", "/orders?product=teapot", "1\n"},
		{"POST", "/orders?product=teapot", "2\n"},
		{"GET", "/popular?product=teapot", "2\n"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), step.method, url+step.path, nil)
		check(t, err)
		response, err := http.DefaultClient.Do(request)
		check(t, err)
		body, err := io.ReadAll(response.Body)
		check(t, err)
		check(t, response.Body.Close())
		if got := string(body); got != step.want {
			t.Errorf("%s %s: got %q, want %q", step.method, step.path, got, step.want)
		}
	}
}
