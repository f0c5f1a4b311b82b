package kafka_test

import (
	"cmp"
	"context"
	"net"
	"os"
	"testing"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/netzero-dev/netzero/examples/kafka"
	"github.com/netzero-dev/netzero/netzerotest"
)

// Two clients, of two implementations of the protocol: franz-go in the test process, and kcat (librdkafka) in a
// container.
func TestIngestion(t *testing.T) {
	kcat := cmp.Or(os.Getenv("EXAMPLE_KCAT_IMAGE"), "edenhill/kcat:1.7.1")
	image := buildBroker(t) // before the recording, else the downloads of go build are recorded
	rec := netzerotest.Record(t, netzerotest.Workload("ingestion"), netzerotest.Requests())

	net, err := network.New(t.Context())
	testcontainers.CleanupNetwork(t, net)
	check(t, err)
	broker, err := testcontainers.Run(t.Context(), "", testcontainers.WithDockerfile(image), rec.As("kafka"),
		network.WithNetwork([]string{"kafka"}, net), testcontainers.WithExposedPorts("9092/tcp"),
		testcontainers.WithCmd(kafka.Telemetry, kafka.Payments),
		testcontainers.WithWaitStrategy(wait.ForLog("ready")))
	testcontainers.CleanupContainer(t, broker, testcontainers.StopTimeout(0))
	check(t, err)

	client, err := kgo.NewClient(kgo.SeedBrokers("kafka:9092"), kgo.Dialer(dial(t, broker)),
		kgo.ConsumeTopics(consumed()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	check(t, err)
	defer client.Close()
	ingestion := &kafka.Ingestion{Client: client}
	check(t, ingestion.Report(t.Context(), "second"))
	if got, err := ingestion.Paid(t.Context()); err != nil || got != "first" {
		t.Errorf("paid %q, %v; want %q", got, err, "first")
	}

	reader, err := testcontainers.Run(t.Context(), kcat, rec.As("dashboard"),
		network.WithNetwork([]string{"dashboard"}, net),
		testcontainers.WithCmd("-b", "kafka:9092", "-C", "-u", "-o", "beginning", "-t", kafka.Telemetry),
		testcontainers.WithWaitStrategy(wait.ForLog("second")))
	testcontainers.CleanupContainer(t, reader, testcontainers.StopTimeout(0))
	check(t, err)
}

// dial returns a dialer of the broker's published port, whatever the address. In a cluster no client needs it.
func dial(t *testing.T, broker testcontainers.Container) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	published, err := broker.PortEndpoint(t.Context(), "9092/tcp", "")
	check(t, err)
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, published)
	}
}
