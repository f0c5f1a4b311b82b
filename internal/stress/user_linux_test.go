package stress

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/netzero-dev/netzero/netzerotest"
)

const tests = 64

// A test opens flows in these ways, each to the same number of destinations. It uses names for the first three.
const (
	overHTTP = iota
	overSQL
	overGRPC
	overDNS
	byChild
	ways

	each = 10
)

// resolver is the name server in /etc/resolv.conf.
const resolver = "203.0.113.53:53"

func name(test int) string { return fmt.Sprintf("test%d.stress.test", test) }

// The addresses of a test: one with a name, and one without.
func named(test int) string   { return fmt.Sprintf("198.51.100.%d", 1+test) }
func unnamed(test int) string { return fmt.Sprintf("203.0.113.%d", 100+test) }

func at(host string, way, n int) string { return fmt.Sprintf("%s:%d", host, 1000*(1+way)+n) }

// shared is used by all tests. Each request dials in a goroutine of the test that sends it.
var shared = &http.Transport{}

func userStress(t *testing.T) {
	t.Cleanup(shared.CloseIdleConnections)
	var begun, ended sync.WaitGroup
	begun.Add(tests)
	ended.Add(tests)
	for test := range tests {
		t.Run(fmt.Sprintf("%02d", test), func(t *testing.T) {
			t.Parallel()
			defer ended.Done()
			recording := netzerotest.Record(t,
				netzerotest.Golden(filepath.Join(os.Getenv(goldensVariable), fmt.Sprintf("%02d.yaml", test))))
			begun.Done()
			begun.Wait()
			reach(t, test)
			compare(t, test, recording.Flows())
		})
	}
}

// reach opens all flows of a test at the same time, each in a separate goroutine.
func reach(t *testing.T, test int) {
	var wait sync.WaitGroup
	for n := range each {
		for way, dial := range []func(context.Context, string) error{overHTTP: get, overSQL: query, overGRPC: call} {
			wait.Go(func() {
				if err := dial(t.Context(), at(name(test), way, n)); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Go(func() {
			if err := lookUp(t.Context(), at(unnamed(test), overDNS, n), name(test)); err != nil {
				t.Error(err)
			}
		})
		wait.Go(func() {
			if err := child(t.Context(), at(unnamed(test), byChild, n)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

func get(_ context.Context, address string) error {
	response, err := (&http.Client{Transport: shared}).Get("http://" + address + "/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// query sends queries through a separate pool, of one of two drivers.
func query(ctx context.Context, address string) error {
	driver := []string{"postgres", "pgx"}[address[len(address)-1]%2]
	db, err := sql.Open(driver, fmt.Sprintf("postgres://%[1]s:%[1]s@%[2]s/%[1]s?sslmode=disable", user, address))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	errs := make(chan error)
	const at = 3 // queries for one connection: two of them wait
	for range at {
		go func() {
			var one int
			err := db.QueryRowContext(ctx, "select 1").Scan(&one)
			if err != nil {
				err = fmt.Errorf("%s at %s: %w", driver, address, err)
			}
			errs <- err
		}()
	}
	for range at {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

// call uses a separate gRPC client, which looks the name up itself.
func call(ctx context.Context, address string) error {
	client, err := grpc.NewClient("dns:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = grpc_health_v1.NewHealthClient(client).Check(ctx, &grpc_health_v1.HealthCheckRequest{},
		grpc.WaitForReady(true))
	return err
}

func lookUp(ctx context.Context, address, name string) error {
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	_, err := resolver.LookupNetIP(ctx, "ip4", name)
	return err
}

// child connects in a child of a child process.
func child(ctx context.Context, address string) error {
	out, err := exec.CommandContext(ctx, "bash", "-c",
		"(exec 3<>/dev/tcp/"+strings.Replace(address, ":", "/", 1)+"); true").CombinedOutput()
	if len(out) > 0 {
		return fmt.Errorf("bash: %s", out)
	}
	return err
}

func compare(t *testing.T, test int, flows []netzerotest.Flow) {
	want := map[netip.AddrPort]bool{netip.MustParseAddrPort(resolver): true}
	for n := range each {
		for way := range ways {
			host := named(test)
			if way >= overDNS {
				host = unnamed(test)
			}
			want[netip.MustParseAddrPort(at(host, way, n))] = true
		}
	}
	for _, f := range flows {
		to := netip.AddrPortFrom(f.Destination.Addr, f.Port)
		if !want[to] {
			t.Errorf("test %d has %s, by %s", test, f.Target(), f.Process.Name)
		}
		delete(want, to)
	}
	for to := range want {
		t.Errorf("test %d lacks %s", test, to)
	}
}
