package boutique

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// startLimit bounds how long one container may take to start and to make its calls.
const startLimit = 20 * time.Second

// service is one container of the shop.
type service struct {
	name  string
	port  int      // port of its Kubernetes Service; 0 if it has none
	calls []string // host:port of each service that it calls
}

// services is ordered so that a service starts after all services that it calls.
var services = []service{
	{"redis-cart", 6379, nil},
	{"adservice", 9555, nil},
	{"currencyservice", 7000, nil},
	{"emailservice", 5000, nil},
	{"paymentservice", 50051, nil},
	{"productcatalogservice", 3550, nil},
	{"shippingservice", 50051, nil},
	{"cartservice", 7070, []string{"redis-cart:6379"}},
	{"recommendationservice", 8080, []string{"productcatalogservice:3550"}},
	{"checkoutservice", 5050, []string{
		"cartservice:7070", "currencyservice:7000", "emailservice:5000", "paymentservice:50051",
		"productcatalogservice:3550", "shippingservice:50051",
	}},
	{"frontend", 80, []string{
		"adservice:9555", "cartservice:7070", "checkoutservice:5050", "currencyservice:7000",
		"productcatalogservice:3550", "recommendationservice:8080", "shippingservice:50051",
	}},
	{"loadgenerator", 0, []string{"frontend:80"}},
}

// The containers call each other; the test process only starts them.
func TestBoutique(t *testing.T) {
	image := peer(t)
	rec := netzerotest.Record(t, netzerotest.Driver(), netzerotest.Manifests("deploy/*.yaml"), netzerotest.Strict())
	start(t, rec, image, service.command, service.ready)
}

// The same containers call the methods of gRPC that their originals call.
func TestBoutique_Calls(t *testing.T) {
	image := peer(t)
	rec := netzerotest.Record(t, netzerotest.Driver(), netzerotest.Manifests("deploy/*.yaml"), netzerotest.Strict(),
		netzerotest.Cilium(), netzerotest.Requests())
	start(t, rec, image, service.callingCommand, service.readyToCall)
}

// peer returns the image of all services. Call it before Record, because it may start a container to build the image.
func peer(t *testing.T) string {
	t.Helper()
	testenv.RequireRoot(t)
	return testenv.Image(t, "peer")
}

// start starts all services. command returns the arguments of a container's program, ready what its log must show.
func start(
	t *testing.T, rec *netzerotest.Recording, image string, command func(service) []string,
	ready func(service) []wait.Strategy,
) {
	t.Helper()
	net, err := network.New(t.Context())
	testcontainers.CleanupNetwork(t, net)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		c, err := testcontainers.Run(t.Context(), image, rec.As(s.name), network.WithNetwork([]string{s.name}, net),
			testcontainers.WithCmd(command(s)...),
			testcontainers.WithWaitStrategyAndDeadline(startLimit, ready(s)...))
		testcontainers.CleanupContainer(t, c, testcontainers.StopTimeout(0))
		if err != nil {
			t.Fatalf("start %s: %v", s.name, err)
		}
	}
}

// command returns the arguments of the container's program: serve, make all calls once, then go on serving.
func (s service) command() []string {
	var steps []string
	if s.port != 0 {
		steps = append(steps, fmt.Sprintf("listen :%d", s.port))
	}
	if len(s.calls) > 0 {
		steps = append(steps, "echo "+strings.Join(s.calls, " "))
	}
	return strings.Fields(strings.Join(append(steps, "wait"), " then "))
}

// ready waits for the lines in the container's log that confirm its listener and its calls. It opens no connection to
// the container, so the recording contains only the services' own traffic.
func (s service) ready() []wait.Strategy {
	var all []wait.Strategy
	if s.port != 0 {
		all = append(all, wait.ForLog(fmt.Sprintf("listen tcp :%d: [::]:%[1]d", s.port)))
	}
	for _, address := range s.calls {
		all = append(all, wait.ForLog("dial tcp "+address+": connected"))
	}
	return all
}

// callingCommand is command for gRPC: serve, and call all methods once. The protocols of redis-cart and frontend are
// not gRPC.
func (s service) callingCommand() []string {
	var steps []string
	switch {
	case s.name == "redis-cart":
		return s.command()
	case s.port != 0:
		steps = append(steps, fmt.Sprintf("serve :%d", s.port))
	}
	for _, address := range s.calls {
		switch host, _, _ := strings.Cut(address, ":"); host {
		case "redis-cart":
			steps = append(steps, "echo "+address)
		case "frontend":
			steps = append(steps, "request GET http://"+address+"/ http://"+address+"/product/OLJCESPC7Z")
		default:
			steps = append(steps, "grpc "+strings.Join(s.urls(address), " "))
		}
	}
	return strings.Fields(strings.Join(append(steps, "wait"), " then "))
}

// urls returns the methods that a service calls at an address.
func (s service) urls(address string) []string {
	var all []string
	for _, m := range methods {
		if host, _, _ := strings.Cut(address, ":"); m.from == s.name && m.to == host {
			all = append(all, "http://"+address+m.path)
		}
	}
	return all
}

// readyToCall is ready for callingCommand.
func (s service) readyToCall() []wait.Strategy {
	if s.name == "redis-cart" {
		return s.ready()
	}
	var all []wait.Strategy
	if s.port != 0 {
		all = append(all, wait.ForLog(fmt.Sprintf("serve tcp :%d: [::]:%[1]d", s.port)))
	}
	for _, address := range s.calls {
		for _, url := range s.urls(address) {
			all = append(all, wait.ForLog("grpc "+url+": 200 OK"))
		}
	}
	if s.port == 0 {
		all = append(all, wait.ForLog("request GET http://frontend:80/: 200 OK"))
	}
	return all
}
