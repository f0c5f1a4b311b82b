package netzerotest

import (
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/flow"
)

func TestWhoOpensForAHealthCheck(t *testing.T) {
	const shell = "/bin/sh -c curl -fs 'http://db:8080/health' || exit 1"
	for _, tt := range []struct {
		reason string
		check  string
		execs  []string
		by     flow.Process
		want   bool
	}{
		{"the command itself", "/peer dial db:5432", nil, flow.Process{Name: "peer", Command: "/peer dial db:5432", Exec: "/peer dial db:5432"}, true},
		{"a client that the shell started", shell, []string{shell}, flow.Process{Name: "curl", Command: "curl", Exec: shell}, true},
		{"a shell that became the client", shell, []string{shell}, flow.Process{Name: "curl", Command: "curl", Exec: "curl -fs http://db:8080/health"}, true},
		{"a client that had ended", shell, nil, flow.Process{Name: "curl"}, true},
		{"another program that had ended", shell, nil, flow.Process{Name: "wget"}, false},
		{"the container's own program, that had ended", "server --check", nil, flow.Process{Name: "server"}, false},
		{"a child of the container's", shell, nil, flow.Process{Name: "curl", Command: "curl", Parents: "server (pid 1)"}, false},
		{"the container's first process", shell, nil, flow.Process{Name: "curl", Command: "curl http://db:8080/"}, false},
		{"another command", shell, []string{"psql -h db"}, flow.Process{Name: "psql", Command: "psql", Exec: "psql -h db"}, false},
		{"the like by hand", shell, []string{shell, "curl http://db:8080/"}, flow.Process{Name: "curl", Command: "curl", Exec: "curl http://db:8080/"}, false},
		{"no health check", "", nil, flow.Process{Name: "curl", Exec: "curl http://db:8080/"}, false},
	} {
		c := docker.Container{HealthCheck: tt.check, Command: "/usr/bin/server --port 80", Execs: make(map[string]time.Duration)}
		for _, command := range tt.execs {
			c.Execs[command] = 1
		}
		if got := opensHealthCheck(c, tt.by); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.reason, got, tt.want)
		}
	}
}

func TestWaitStrategiesAreToldByTheirCalls(t *testing.T) {
	for stack, want := range map[flow.Stack]bool{
		"net.Dial\tnet.go:1\ngithub.com/testcontainers/testcontainers-go/wait.(*HTTPStrategy).WaitUntilReady\thttp.go:2\n": true,
		"net.Dial\tnet.go:1\nstarted by example.test/shop.ready.WaitUntilReady.func1\tready.go:2\n":                        true,
		"net.Dial\tnet.go:1\nexample.test/shop.WaitUntilReadyAgain\tready.go:2\n":                                          false,
		"net.Dial\tnet.go:1\nexample.test/shop.TestCheckout\tshop_test.go:2\n":                                             false,
		"": false,
	} {
		if got := isWaitStrategy(stack); got != want {
			t.Errorf("%q: got %v, want %v", stack, got, want)
		}
	}
}

// With Driver a container's name and port are about what the driver opens; all else that Ignore names is left out for all.
func TestIgnoreOfADriver(t *testing.T) {
	driver := flow.Endpoint{Kind: flow.Anyone}
	cart := flow.Endpoint{Kind: flow.Workload, Name: "cart", Evidence: flow.ByContainer}
	cache := flow.Endpoint{Kind: flow.Workload, Name: "redis-cart", Evidence: flow.ByContainer}
	host := flow.Endpoint{Kind: flow.External, Name: "telemetry.test", Evidence: flow.ByDNS}
	for _, tt := range []struct {
		reason, ignore string
		driver         bool
		from, to       flow.Endpoint
		ignored        bool
	}{
		{"the driver looks into the container", "redis-cart:6379", true, driver, cache, true},
		{"a service calls it", "redis-cart:6379", true, cart, cache, false},
		{"without a port nobody counts", "redis-cart", true, cart, cache, true},
		{"without Driver the test process is a workload", "redis-cart:6379", false, cart, cache, true},
		{"a host is no container", "telemetry.test:6379", true, cart, host, true},
		{"another port", "redis-cart:6380", true, driver, cache, false},
	} {
		ignore, err := endpoint.ParseIgnore(tt.ignore)
		if err != nil {
			t.Fatal(err)
		}
		c := config{driver: tt.driver, ignores: []endpoint.Ignore{ignore}}
		kept := c.withoutIgnored([]Flow{{Source: tt.from, Destination: tt.to, Protocol: flow.TCP, Port: 6379}})
		if got := len(kept) == 0; got != tt.ignored {
			t.Errorf("%s: left out: %v, want %v", tt.reason, got, tt.ignored)
		}
	}
}
