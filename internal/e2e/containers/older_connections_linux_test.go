package containers

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// Traffic on connections that are older than the recording is a flow: from the test process to a container, and from
// one container to another. A Redis replica reports its offset to its master every second.
func TestConnections_OlderThanRecording(t *testing.T) {
	image := require(t)
	redis := testenv.Image(t, "redis")
	n := newNetwork(t)
	db := run(t, image, "listen :5432 then wait", in(n, "db"), testcontainers.WithExposedPorts("5432/tcp"))
	conn := dialEcho(t, fmt.Sprintf("127.0.0.1:%d", published(t, db, "5432/tcp")))
	run(t, redis, "redis-server", in(n, "master"))
	start := func(options ...testcontainers.ContainerCustomizer) testcontainers.Container {
		options = append(options, in(n, "replica"), testcontainers.WithReuseByName("netzero-test-replica"))
		return run(t, redis, "redis-server --replicaof master 6379", options...)
	}
	start(testcontainers.WithWaitStrategy(wait.ForLog("MASTER <-> REPLICA sync: Finished with success")))

	rec := record(t)
	start(rec.As("replica"))
	exchange(t, conn)
	saw := func(f netzerotest.Flow) bool { return f.Source.Name == "replica" && f.Before }
	for deadline := time.Now().Add(time.Minute); !slices.ContainsFunc(rec.Flows(),
		saw); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the replica sends nothing: %+v", rec.Flows())
		}
	}
}

// dialEcho connects to a peer that echoes, once it does.
func dialEcho(t *testing.T, address string) net.Conn {
	t.Helper()
	await(t, address)
	var d net.Dialer
	conn, err := d.DialContext(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	exchange(t, conn)
	return conn
}

// exchange sends a line, and waits until it has come back.
func exchange(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, len("hello\n"))); err != nil {
		t.Fatal(err)
	}
}
