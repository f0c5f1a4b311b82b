// Package serial has 30 tests as a user writes them: TestMain starts containers, and makes a pool and clients that all
// tests share. They run one after another. Package stress builds this package and runs it in many orders.
//
// SERIAL_PACKAGE=1 makes them one recording of the package. Otherwise each test has its own recording. With
// SERIAL_LAZY=1 the first test that needs a client makes it.
package serial

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
	"github.com/testcontainers/testcontainers-go/wait"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/netzero-dev/netzero/netzerotest"
)

// All tests share these clients, which connect at their first call. The HTTP client has no connection when the first
// test begins, because names of other machines must be looked up during a recording.
var (
	orders func() (*sql.DB, error)
	rates  = &http.Client{Transport: &http.Transport{}}
	stock  func() (*grpc.ClientConn, error)
)

const (
	user     = "orders"
	ratesURL = "http://api.rates.test:8080/"
	stockd   = "7071/tcp"
	patience = time.Minute
)

func TestMain(m *testing.M) {
	run := func(context.Context) int { return m.Run() }
	var recording *netzerotest.PackageRecording
	if os.Getenv("SERIAL_PACKAGE") != "" {
		recording = netzerotest.RecordPackage()
		run = func(context.Context) int { return recording.Run(m) }
	}
	code, err := with(context.Background(), recording, run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// with starts the servers, makes the clients and runs the tests.
func with(ctx context.Context, recording *netzerotest.PackageRecording, run func(context.Context) int) (code int,
	err error) {
	ours := map[string]string{"serial": os.Getenv("SERIAL_LABEL")}
	options := func(name string, options ...testcontainers.ContainerCustomizer) []testcontainers.ContainerCustomizer {
		if recording != nil {
			return append(options, testcontainers.WithLabels(ours), recording.As(name))
		}
		return append(options, testcontainers.WithLabels(ours),
			testcontainers.WithLabels(map[string]string{"dev.netzero.workload": name}))
	}
	terminate := func(c testcontainers.Container) {
		err = errors.Join(err, testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0)))
	}

	db, err := postgres.Run(ctx, os.Getenv("SERIAL_POSTGRES"),
		options("orders-db", postgres.WithDatabase(user), postgres.WithUsername(user),
			postgres.WithPassword(user), postgres.BasicWaitStrategies())...)
	defer func() { terminate(db) }()
	if err != nil {
		return 0, err
	}
	url, err := db.ConnectionString(ctx, "sslmode=disable")
	if err != nil {
		return 0, err
	}
	orders = sync.OnceValues(func() (*sql.DB, error) {
		db, err := sql.Open("pgx", url)
		if err != nil {
			return nil, err
		}
		return db, db.PingContext(ctx)
	})

	server, err := testcontainers.Run(ctx, os.Getenv("SERIAL_IMAGE"), options("stock",
		testcontainers.WithFiles(testcontainers.ContainerFile{HostFilePath: os.Getenv("SERIAL_STOCKD"),
			ContainerFilePath: "/stockd", FileMode: 0o755}),
		testcontainers.WithEntrypoint("/stockd"), testcontainers.WithCmd(":7071"), testcontainers.WithExposedPorts(stockd),
		testcontainers.WithWaitStrategy(wait.ForLog("ready")))...)
	defer func() { terminate(server) }()
	if err != nil {
		return 0, err
	}
	address, err := server.PortEndpoint(ctx, stockd, "")
	if err != nil {
		return 0, err
	}
	stock = sync.OnceValues(func() (*grpc.ClientConn, error) {
		client, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		return client, connect(ctx, client)
	})
	if os.Getenv("SERIAL_LAZY") == "" {
		if _, err := orders(); err != nil {
			return 0, err
		}
		if _, err := stock(); err != nil {
			return 0, err
		}
	}
	defer rates.CloseIdleConnections()
	return run(ctx), nil
}

// connect waits until a client is connected: it is not when it is made.
func connect(ctx context.Context, client *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for client.Connect(); ; {
		state := client.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if !client.WaitForStateChange(ctx, state) {
			return fmt.Errorf("gRPC client is %v: %w", state, ctx.Err())
		}
	}
}

// use sends with the clients that the bits of n say.
func use(t *testing.T, n int) {
	if os.Getenv("SERIAL_PACKAGE") == "" {
		netzerotest.Record(t)
	}
	for bit, send := range []func(context.Context) error{query, get, call} {
		if n&(1<<bit) == 0 {
			continue
		}
		if err := send(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func query(ctx context.Context) error {
	db, err := orders()
	if err != nil {
		return err
	}
	var one int
	return db.QueryRowContext(ctx, "select 1").Scan(&one)
}

func get(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ratesURL, nil)
	if err != nil {
		return err
	}
	response, err := rates.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func call(ctx context.Context) error {
	client, err := stock()
	if err != nil {
		return err
	}
	_, err = grpc_health_v1.NewHealthClient(client).Check(ctx, &grpc_health_v1.HealthCheckRequest{},
		grpc.WaitForReady(true))
	return err
}
