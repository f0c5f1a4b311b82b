package billing_test

import (
	"cmp"
	"net/http"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/netzero-dev/netzero/examples/billing"
	"github.com/netzero-dev/netzero/netzerotest"
)

// The same requests in two dialects: a NetworkPolicy lists them in an annotation, a CiliumNetworkPolicy has rules for
// them.
func TestBilling(t *testing.T)       { testBilling(t) }
func TestBillingCilium(t *testing.T) { testBilling(t, netzerotest.Cilium()) }

func testBilling(t *testing.T, options ...netzerotest.Option) {
	shop := buildShop(t) // before the recording, else the downloads of go build are recorded
	rec := netzerotest.Record(t, append(options, netzerotest.Workload("checkout"), netzerotest.Requests(),
		netzerotest.FoldPaths("/api/v1/customers/{customer}/invoices"))...)

	net, err := network.New(t.Context())
	testcontainers.CleanupNetwork(t, net)
	check(t, err)
	start := func(image, name string, more ...testcontainers.ContainerCustomizer) *testcontainers.DockerContainer {
		t.Helper()
		c, err := testcontainers.Run(t.Context(), image,
			append(more, rec.As(name), network.WithNetwork([]string{name}, net))...)
		testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(0))
		check(t, err)
		return c
	}
	runShop := func(name string, command ...string) *testcontainers.DockerContainer {
		t.Helper()
		return start("", name, testcontainers.WithDockerfile(shop), testcontainers.WithExposedPorts("9090/tcp"),
			testcontainers.WithCmd(command...), testcontainers.WithWaitStrategy(wait.ForLog("ready")))
	}
	bill := start(cmp.Or(os.Getenv("EXAMPLE_NGINX_IMAGE"), "nginx:1"), "billing",
		testcontainers.WithFiles(testcontainers.ContainerFile{
			HostFilePath: "testdata/billing.conf", ContainerFilePath: "/etc/nginx/conf.d/default.conf", FileMode: 0o644,
		}),
		testcontainers.WithExposedPorts("8080/tcp"), testcontainers.WithWaitStrategy(wait.ForListeningPort("8080/tcp")))
	book := runShop("ledger", "ledger")
	runShop("auditing", stray("auditing", "POST", "/api/v1/charge", "call",
		"GET", "http://billing:8080/api/v1/invoices/17", "GET", "http://billing:8080/api/v1/invoices/18",
		"GET", "http://billing:8080/api/v1/customers/ada/invoices")...)
	runShop("monitoring", stray("monitoring", "GET", "/api/v1/invoices/17", "call",
		"GET", "http://billing:8080/healthz")...)

	address, err := bill.PortEndpoint(t.Context(), "8080/tcp", "http")
	check(t, err)
	target, err := book.PortEndpoint(t.Context(), "9090/tcp", "")
	check(t, err)
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(t, err)
	defer conn.Close()
	// A client of its own: one that tests share may keep a connection that an earlier test opened.
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	checkout := &billing.Checkout{
		Billing: address, Client: client, Ledger: conn, Thorough: os.Getenv(strayVariable) == "checkout",
	}
	for _, order := range []string{"17", "18"} {
		check(t, checkout.Pay(t.Context(), order))
	}
}
