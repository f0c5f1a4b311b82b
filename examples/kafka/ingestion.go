// Package kafka is an ingestion: it produces telemetry to one topic of Kafka, and fetches what was paid from another.
//
// It stands for a service of yours. The policy of its test lists the topics, and what the service does with each. The
// service does not depend on netzero.
//
// A dashboard reads the telemetry in a container: kcat, of edenhill/kcat:1.7.1. EXAMPLE_KCAT_IMAGE names another image:
// make test-examples sets it to that of make images. The broker is in broker.
package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The topics of an ingestion.
const (
	Telemetry = "alpha-telemetry"
	Payments  = "payments"
)

// Ingestion produces and fetches through a client that consumes [Payments].
type Ingestion struct{ Client *kgo.Client }

// Report produces a line of telemetry, and returns once the broker has it.
func (i *Ingestion) Report(ctx context.Context, line string) error {
	err := i.Client.ProduceSync(ctx, &kgo.Record{Topic: Telemetry, Value: []byte(line)}).FirstErr()
	if err != nil {
		return fmt.Errorf("report telemetry: %w", err)
	}
	return nil
}

// Paid returns the next payment.
func (i *Ingestion) Paid(ctx context.Context) (string, error) {
	fetches := i.Client.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return "", fmt.Errorf("fetch payment: %w", err)
	}
	return string(fetches.Records()[0].Value), nil
}
