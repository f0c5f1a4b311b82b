package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// kafkaRequest returns the bytes of a request.
func kafkaRequest(correlation int32, version int16, r kmsg.Request) []byte {
	r.SetVersion(version)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("app")).AppendRequest(nil, r, correlation)
}

// produce returns a Produce request with zeros for its record batches.
func produce(version int16, topics, partitions, records int) []byte {
	r := kmsg.NewPtrProduceRequest()
	for i := range topics {
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic = fmt.Sprintf("alpha-telemetry-%d", i)
		topic.TopicID[0] = byte(i + 1)
		for j := range partitions {
			partition := kmsg.NewProduceRequestTopicPartition()
			partition.Partition, partition.Records = int32(j), make([]byte, records)
			topic.Partitions = append(topic.Partitions, partition)
		}
		r.Topics = append(r.Topics, topic)
	}
	return kafkaRequest(7, version, r)
}

func TestStream_Kafka(t *testing.T) {
	testenv.Recorded(t, "requests of Kafka clients")
	r := newStreamRig(t, Sizes{})
	other := slices.Concat(kafkaRequest(1, 3, kmsg.NewPtrApiVersionsRequest()),
		kafkaRequest(2, 13, kmsg.NewPtrFetchRequest()))
	for _, version := range []int16{2, 3, 7, 8, 9, 12, 13} {
		for _, row := range []struct{ topics, partitions, records int }{
			{1, 1, 10_000}, {3, 2, 5000}, {2, 1, 0}, {0, 0, 0}, {1, 0, 0}, {1, 1, 500_000},
		} {
			request := produce(version, row.topics, row.partitions, row.records)
			sent := slices.Concat(other, request, other, request)
			for _, size := range []int{1 << 20, 97} {
				if len(sent)/size > 1500 {
					continue
				}
				t.Run(fmt.Sprintf("%d/%+v/%d", version, row, size), func(t *testing.T) {
					s := r.send(sink(t, "tcp", "127.0.0.1:0"), sent, size)
					s.mustBe(t, sent)
					want := uint64(2 * row.topics * row.partitions * row.records)
					if version < 3 {
						want = 0
					}
					if s.skipped != want {
						t.Errorf("%d bytes are skipped, want %d", s.skipped, want)
					}
				})
			}
		}
	}
	s := r.send(sink(t, "tcp", "127.0.0.1:0"), []byte("\x00\x20\x00\x00\x00\x01\x00\x03\x00\x00\x00\x01"), 100)
	if s.opaque != StreamLimit {
		t.Errorf("a Fetch request of 2 MiB: opaque %d, want the limit", s.opaque)
	}
	r.mustLoseNothing()
}

// answer reads requests and answers the nth one with a response of lengths[n] zeros.
func answer(c net.Conn, lengths []int) error {
	defer c.Close()
	for _, length := range lengths {
		head := make([]byte, 12)
		if _, err := io.ReadFull(c, head); err != nil {
			return err
		}
		rest := int64(binary.BigEndian.Uint32(head)) - 8
		if _, err := io.CopyN(io.Discard, c, rest); err != nil {
			return err
		}
		if _, err := c.Write(kafkaResponse(head[8:12], length)); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, c)
	return err
}

func kafkaResponse(correlation []byte, length int) []byte {
	response := binary.BigEndian.AppendUint32(nil, uint32(4+length))
	return append(append(response, correlation...), bytes.Repeat([]byte{'r'}, length)...)
}

// The responses to requests for topics name topics with their ids. No other response is delivered.
func TestStream_KafkaResponses(t *testing.T) {
	r := newStreamRig(t, Sizes{})
	metadata, create := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrCreateTopicsRequest()
	requests := [][]byte{
		kafkaRequest(1, 3, kmsg.NewPtrApiVersionsRequest()), kafkaRequest(2, 12, metadata), produce(13, 1, 1, 30_000),
		kafkaRequest(4, 13, kmsg.NewPtrFetchRequest()), kafkaRequest(5, 7, create), kafkaRequest(6, 12, metadata),
		kafkaRequest(8, 0, kmsg.NewPtrDescribeTopicPartitionsRequest()),
	}
	lengths := []int{100, 20_000, 0, 300_000, 0, 1, 700}
	var want []byte
	for i, length := range lengths {
		if i == 1 || i >= 4 {
			want = append(want, kafkaResponse(requests[i][8:12], length)...)
		}
	}
	for _, together := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer l.Close()
		served := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				err = answer(c, lengths)
			}
			served <- err
		}()
		c, err := net.Dial("tcp", l.Addr().String())
		check(t, err)
		cookie := cookieOf(t, c)
		if together {
			_, err := c.Write(slices.Concat(requests...))
			check(t, err)
		}
		for i, request := range requests {
			if !together {
				_, err := c.Write(request)
				check(t, err)
			}
			_, err = io.CopyN(io.Discard, c, int64(8+lengths[i]))
			check(t, err)
		}
		finish(t, c)
		check(t, <-served)
		s := r.get(cookie)
		s.mustBe(t, slices.Concat(requests...))
		if !bytes.Equal(s.reply, want) {
			t.Errorf("all at once: %t: %d bytes of responses, want %d", together, len(s.reply), len(want))
		}
	}
	r.mustLoseNothing()
}
