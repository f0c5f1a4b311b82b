package requests_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netzero-dev/netzero/internal/requests"
)

var orders, audit = [16]byte{15: 1}, [16]byte{15: 2}

// kafkaRequest returns a request of a version, with its length prefix.
func kafkaRequest(correlation int32, version int16, r kmsg.Request) string {
	r.SetVersion(version)
	head := binary.BigEndian.AppendUint16(nil, uint16(r.Key()))
	head = binary.BigEndian.AppendUint16(head, uint16(version))
	head = binary.BigEndian.AppendUint32(head, uint32(correlation))
	head = append(head, 0, 2, 'm', 'e')
	if r.IsFlexible() {
		head = append(head, 1, 0x7f, 1, 'x') // one tag
	}
	return prefixed(r.AppendTo(head))
}

func prefixed(text []byte) string {
	return string(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
}

// kafkaResponse returns the response to a request.
func kafkaResponse(correlation int32, version int16, r kmsg.Response) string {
	r.SetVersion(version)
	head := binary.BigEndian.AppendUint32(nil, uint32(correlation))
	if r.IsFlexible() {
		head = append(head, 0)
	}
	return prefixed(r.AppendTo(head))
}

func produceTo(name string, id [16]byte) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	partition := kmsg.NewProduceRequestTopicPartition()
	partition.Records = make([]byte, 1000)
	r.Topics = []kmsg.ProduceRequestTopic{{
		Topic: name, TopicID: id, Partitions: []kmsg.ProduceRequestTopicPartition{partition},
	}}
	return r
}

func fetchFrom(epoch int32, name string, id [16]byte) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.SessionEpoch = epoch
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = name, id
	r.Topics = []kmsg.FetchRequestTopic{topic}
	return r
}

func TestKafka_Requests(t *testing.T) {
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: "orders"}}
	list := kmsg.NewPtrListOffsetsRequest()
	list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "orders"}}
	epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
	epochs.Topics = []kmsg.OffsetForLeaderEpochRequestTopic{{Topic: "epochs"}}
	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.TopicNames = []string{"orders"}
	records := kmsg.NewPtrDeleteRecordsRequest()
	records.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: "records"}}
	partitions := kmsg.NewPtrCreatePartitionsRequest()
	partitions.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: "partitions"}}
	assign := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	assign.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "assignments"}}
	configs := kmsg.NewPtrAlterConfigsRequest()
	configs.Resources = []kmsg.AlterConfigsRequestResource{
		{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "configs"},
		{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"},
	}
	incremental := kmsg.NewPtrIncrementalAlterConfigsRequest()
	incremental.Resources = []kmsg.IncrementalAlterConfigsRequestResource{
		{ResourceType: kmsg.ConfigResourceTypeTopic, ResourceName: "incremental"},
	}
	zeros := produceTo("orders", [16]byte{})
	zeros.Topics = append(zeros.Topics, kmsg.NewProduceRequestTopic())
	for _, c := range []struct{ reason, text, want string }{
		{"a login and groups name no topic", kafkaRequest(1, 3, kmsg.NewPtrApiVersionsRequest()) +
			kafkaRequest(2, 1, kmsg.NewPtrSASLHandshakeRequest()) + kafkaRequest(3, 2, kmsg.NewPtrSASLAuthenticateRequest()) +
			kafkaRequest(4, 9, kmsg.NewPtrJoinGroupRequest()) + kafkaRequest(5, 12, kmsg.NewPtrMetadataRequest()), ""},
		{"produce, old and flexible", kafkaRequest(1, 3, produceTo("orders", [16]byte{})) +
			kafkaRequest(2, 9, produceTo("audit", [16]byte{})), "Kafka produce audit @\nKafka produce orders @"},
		{"fetch", kafkaRequest(1, 12, fetchFrom(0, "orders", [16]byte{})) +
			kafkaRequest(2, 12, fetchFrom(1, "audit", [16]byte{})), "Kafka fetch audit @\nKafka fetch orders @"},
		{"offsets", kafkaRequest(1, 5, list) + kafkaRequest(2, 4, epochs), "Kafka fetch epochs @\nKafka fetch orders @"},
		{"create and delete", kafkaRequest(1, 7, create) + kafkaRequest(2, 5, drop) + kafkaRequest(3, 2, records),
			"Kafka create orders @\nKafka delete orders @\nKafka delete records @"},
		{"alter", kafkaRequest(1, 3, partitions) + kafkaRequest(2, 0, assign) + kafkaRequest(3, 2, configs) +
			kafkaRequest(4, 1, incremental), "Kafka alter assignments @\nKafka alter configs @\n" +
			"Kafka alter incremental @\nKafka alter partitions @"},
		{"a newer question for versions", kafkaRequest(1, 3, kmsg.NewPtrApiVersionsRequest())[:6] + "\x00\x63" +
			kafkaRequest(1, 3, kmsg.NewPtrApiVersionsRequest())[8:], ""},

		{"a session of another connection", kafkaRequest(1, 12, fetchFrom(5, "orders", [16]byte{})),
			"opaque: a fetch session of Kafka that another connection opened"},
		{"an ID without a name", kafkaRequest(1, 13, produceTo("", orders)), "opaque: a topic ID that no metadata names"},
		{"a login without framing", kafkaRequest(1, 0, kmsg.NewPtrSASLHandshakeRequest()),
			"opaque: a login to Kafka by SASL without framing"},
		{"a topic of zeros", kafkaRequest(1, 9, zeros), "Kafka produce orders @\nopaque: a malformed request of Kafka"},
		{"a newer version", "\x00\x00\x00\x0a\x00\x03\x00\x63\x00\x00\x00\x01\xff\xff",
			"opaque: a newer version of Kafka's protocol"},
		{"an unknown key", "\x00\x00\x00\x0a\x7f\x03\x00\x00\x00\x00\x00\x01\xff\xff",
			"opaque: another protocol than HTTP and Kafka"},
		{"a length that is too short", "\x00\x00\x00\x04\x00\x03\x00\x00",
			"opaque: another protocol than HTTP and Kafka"},
		{"a body that is too short", "\x00\x00\x00\x0a\x00\x00\x00\x03\x00\x00\x00\x01\xff\xff",
			"opaque: a malformed request of Kafka"},
		{"half a request", kafkaRequest(1, 3, produceTo("orders", [16]byte{}))[:40], "opaque: an incomplete request"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			for _, n := range []int{1 << 30, 7, 1} {
				if diff := cmp.Diff(c.want, sortedByMethod(summary(send(cut(c.text, n)...)))); diff != "" {
					t.Errorf("pieces of %d bytes (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

// sortedByMethod sorts what does not give a reason by its text.
func sortedByMethod(text string) string {
	all := strings.Split(text, "\n")
	last := len(all)
	if strings.HasPrefix(all[last-1], "opaque") {
		last--
	}
	for i := range last { // a few
		for j := range i {
			if all[i] < all[j] {
				all[i], all[j] = all[j], all[i]
			}
		}
	}
	return strings.Join(all, "\n")
}

func TestKafka_SkippedRecords(t *testing.T) {
	text := kafkaRequest(1, 3, produceTo("orders", [16]byte{}))
	got := summary(send(requests.Piece{Data: []byte(text[:len(text)-1000])}, requests.Piece{Skipped: 1000},
		requests.Piece{Data: []byte(text[:len(text)-1000])}, requests.Piece{Skipped: 1000, Ends: true}))
	if want := "Kafka produce orders @"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = summary(send(requests.Piece{Data: []byte(text[:20])},
		requests.Piece{Skipped: uint64(len(text) - 20), Data: []byte(text)}))
	if !strings.Contains(got, "opaque: ") {
		t.Errorf("a request without its topics: %s", got)
	}
}

func TestKafka_IDsOfTopics(t *testing.T) {
	name := func(s string) *string { return &s }
	metadata := kmsg.NewPtrMetadataResponse()
	metadata.Topics = []kmsg.MetadataResponseTopic{{Topic: name("orders"), TopicID: orders}}
	created := kmsg.NewPtrCreateTopicsResponse()
	created.Topics = []kmsg.CreateTopicsResponseTopic{{Topic: "orders", TopicID: orders}}
	described := kmsg.NewPtrDescribeTopicPartitionsResponse()
	described.Topics = []kmsg.DescribeTopicPartitionsResponseTopic{{Topic: name("orders"), TopicID: orders}}
	for _, c := range []struct {
		reason            string
		question, answer  string
		isOtherConnection bool
		want              string
	}{
		{"metadata", kafkaRequest(5, 12, kmsg.NewPtrMetadataRequest()), kafkaResponse(5, 12, metadata), false, ""},
		{"of another connection", kafkaRequest(5, 12, kmsg.NewPtrMetadataRequest()), kafkaResponse(5, 12, metadata),
			true, ""},
		{"a created topic", kafkaRequest(5, 7, kmsg.NewPtrCreateTopicsRequest()), kafkaResponse(5, 7, created), false, ""},
		{"described partitions", kafkaRequest(5, 0, kmsg.NewPtrDescribeTopicPartitionsRequest()),
			kafkaResponse(5, 0, described), false, ""},
		{"the answer to another question", kafkaRequest(6, 12, kmsg.NewPtrMetadataRequest()),
			kafkaResponse(5, 12, metadata), false, "opaque: a topic ID that no metadata names"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			var s requests.Streams
			defer s.Close()
			asking := uint64(1)
			if c.isOtherConnection {
				asking = 2
			}
			s.Add(requests.Piece{Connection: 1, Data: []byte(kafkaRequest(1, 13, fetchFrom(0, "", orders)))})
			s.Add(requests.Piece{Connection: asking, Data: []byte(c.question)})
			for _, p := range cut(c.answer, 7) {
				p.Connection, p.IsReply = asking, true
				s.Add(p)
			}
			s.Add(requests.Piece{Connection: 1, Data: []byte(kafkaRequest(7, 13, produceTo("", orders)))})
			s.Wait()
			want := c.want
			if want == "" {
				want = "Kafka fetch orders @\nKafka produce orders @"
			}
			if got := summary(s.Result(1)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			s.Add(requests.Piece{Connection: 1, Data: []byte(kafkaRequest(8, 13, produceTo("", audit)))})
			s.Wait()
			if got := s.Result(1).Opaque; got != "a topic ID that no metadata names" {
				t.Errorf("an unknown ID: %q", got)
			}
		})
	}
}
