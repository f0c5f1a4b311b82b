// Broker is a Kafka broker with the topics that its arguments name, each with one partition and one record, "first". It
// listens at :9092, and tells its clients that its address is kafka:9092.
//
// It is kfake, the implementation of Kafka's protocol that franz-go has for its own tests: Debian has no broker. It
// keeps its records in memory.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	topics := os.Args[1:]
	cluster, err := kfake.NewCluster(kfake.Ports(9092), kfake.SeedTopics(1, topics...), kfake.ListenFn(listen))
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	if err := fill(topics); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	select {}
}

// fill produces a record to each topic.
func fill(topics []string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:9092"), kgo.Dialer(
		func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:9092")
		},
	))
	if err != nil {
		return err
	}
	defer client.Close()
	for _, topic := range topics {
		record := &kgo.Record{Topic: topic, Value: []byte("first")}
		if err := client.ProduceSync(context.Background(), record).FirstErr(); err != nil {
			return fmt.Errorf("fill topic %s: %w", topic, err)
		}
	}
	return nil
}

// listener listens at all addresses. Its own address is the one that clients use, kafka:9092.
type listener struct{ net.Listener }

func listen(network, _ string) (net.Listener, error) {
	l, err := net.Listen(network, ":9092")
	return listener{l}, err
}

// Addr returns the address that kfake gives to clients.
func (listener) Addr() net.Addr { return address("kafka:9092") }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }
