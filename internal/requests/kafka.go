package requests

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// What clients do with topics.
const (
	produce = "produce"
	fetch   = "fetch"
	create  = "create"
	alter   = "alter"
	remove  = "delete"
)

const (
	// minKafka is the length of a request's header without a client ID.
	minKafka = 8
	// maxKafka is the default of the broker's option socket.request.max.bytes.
	maxKafka = 100 << 20
	// maxPending bounds the requests of a connection that wait for a response.
	maxPending = 1000
)

const malformedKafka = opaque("a malformed request of Kafka")

// topicID is an ID of a topic: a UUID, zero if the request has a name instead.
type topicID [16]byte

// topicUse is what a client does with a topic of which only the ID is known.
type topicUse struct {
	method string
	id     topicID
}

// kafka is what the parser of a connection knows, in its goroutine only.
type kafka struct {
	streams *Streams
	pending map[int32]kmsg.Response // by correlation ID: those that name topics and their IDs
	replies []byte                  // an incomplete response
	session bool                    // the client has opened a fetch session, or needs none
	share   bool                    // the same, for share groups
}

// parseKafka parses requests of Kafka until the connection ends.
func (c *connection) parseKafka() error {
	k := &kafka{streams: c.streams, pending: make(map[int32]kmsg.Response)}
	c.kafka = k
	malformed := opaque(otherProtocol)
	for {
		if err := c.begin(); err != nil {
			return err
		}
		c.head = maxKafka
		at := c.read - uint64(c.r.Buffered())
		if c.zeros[1] <= at {
			c.zeros = [2]uint64{}
		}
		var prefix [4]byte
		if _, err := io.ReadFull(c.r, prefix[:]); err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(prefix[:])
		if length < minKafka || length > maxKafka {
			return malformed
		}
		start, err := c.r.Peek(minKafka)
		if err != nil {
			return err
		}
		key, version := int16(binary.BigEndian.Uint16(start)), int16(binary.BigEndian.Uint16(start[2:]))
		if kmsg.RequestForKey(key) == nil || version < 0 {
			return malformed
		}
		// The buffer grows with what is there: the length may be wrong.
		var body bytes.Buffer
		if _, err := io.CopyN(&body, c.r, int64(length)); err != nil {
			return err
		}
		malformed = malformedKafka
		if end := at + 4 + uint64(length); c.zeros[1] > at && c.zeros[0] < end {
			if !mayLackBytes(key) || c.zeros[0] < at+4+minKafka {
				return opaque("a request of Kafka that was not read whole")
			}
		}
		if err := c.kafkaRequest(key, version, body.Bytes()[4:]); err != nil {
			return err
		}
	}
}

// kafkaRequest handles a request, from its correlation ID on.
func (c *connection) kafkaRequest(key, version int16, text []byte) error {
	request := kmsg.RequestForKey(key)
	if key == kmsg.ApiVersions.Int16() {
		return nil // clients begin with a version that the broker may not know
	}
	if version > request.MaxVersion() {
		return opaque("a newer version of Kafka's protocol")
	}
	if key == kmsg.SASLHandshake.Int16() && version == 0 {
		return opaque("a login to Kafka by SASL without framing")
	}
	request.SetVersion(version)
	correlation := int32(binary.BigEndian.Uint32(text))
	switch request.(type) {
	case *kmsg.MetadataRequest, *kmsg.CreateTopicsRequest, *kmsg.DescribeTopicPartitionsRequest:
		if len(c.kafka.pending) >= maxPending {
			clear(c.kafka.pending)
		}
		response := request.ResponseKind()
		response.SetVersion(version)
		c.kafka.pending[correlation] = response
	}
	if !namesTopics(request) {
		return nil
	}
	body, ok := withoutClientID(text[4:], request.IsFlexible())
	if !ok || request.ReadFrom(body) != nil {
		return malformedKafka
	}
	return c.kafkaTopics(request)
}

// mayLackBytes reports whether bytes after the header of a request may be left out: records, and what names no topic.
// Zeros in place of a topic's name are no name.
func mayLackBytes(key int16) bool {
	request := kmsg.RequestForKey(key)
	return key == kmsg.Produce.Int16() || !namesTopics(request)
}

// withoutClientID returns what follows the client ID and the tags of a request's header.
func withoutClientID(text []byte, hasTags bool) (body []byte, ok bool) {
	if len(text) < 2 {
		return nil, false
	}
	length := int(int16(binary.BigEndian.Uint16(text)))
	text = text[2:]
	if length > len(text) {
		return nil, false
	}
	text = text[max(0, length):]
	if hasTags {
		return withoutTags(text)
	}
	return text, true
}

// withoutTags returns what follows tagged fields.
func withoutTags(text []byte) (rest []byte, ok bool) {
	number, n := binary.Uvarint(text)
	if n <= 0 {
		return nil, false
	}
	for text = text[n:]; number > 0; number-- {
		if _, n = binary.Uvarint(text); n <= 0 { // the tag
			return nil, false
		}
		text = text[n:]
		length, n := binary.Uvarint(text)
		if n <= 0 || length > uint64(len(text)-n) {
			return nil, false
		}
		text = text[n+int(length):]
	}
	return text, true
}

// namesTopics reports whether kafkaTopics handles a request. Others need no permission for a topic.
func namesTopics(request kmsg.Request) bool {
	switch request.(type) {
	case *kmsg.ProduceRequest, *kmsg.FetchRequest, *kmsg.ShareFetchRequest, *kmsg.ListOffsetsRequest,
		*kmsg.OffsetForLeaderEpochRequest, *kmsg.CreateTopicsRequest, *kmsg.DeleteTopicsRequest,
		*kmsg.DeleteRecordsRequest, *kmsg.CreatePartitionsRequest, *kmsg.AlterPartitionAssignmentsRequest,
		*kmsg.AlterConfigsRequest, *kmsg.IncrementalAlterConfigsRequest:
		return true
	}
	return false
}

// kafkaTopics records the topics of a request.
func (c *connection) kafkaTopics(request kmsg.Request) error {
	var names []string
	var ids []topicID
	var method string
	add := func(name string, id topicID) {
		if id != (topicID{}) {
			ids = append(ids, id)
		} else {
			names = append(names, name)
		}
	}
	switch r := request.(type) {
	case *kmsg.ProduceRequest:
		method = produce
		if len(r.Topics) == 0 { // clients send none; their number may have been left out
			return malformedKafka
		}
		for _, t := range r.Topics {
			add(t.Topic, t.TopicID)
		}
	case *kmsg.FetchRequest:
		method = fetch
		// A session's later requests name only what changes.
		if r.SessionEpoch > 0 && !c.kafka.session {
			return opaque("a fetch session of Kafka that another connection opened")
		}
		c.kafka.session = true
		for _, t := range r.Topics {
			add(t.Topic, t.TopicID)
		}
	case *kmsg.ShareFetchRequest:
		method = fetch
		if r.ShareSessionEpoch > 0 && !c.kafka.share {
			return opaque("a fetch session of Kafka that another connection opened")
		}
		c.kafka.share = true
		for _, t := range r.Topics {
			add("", t.TopicID)
		}
	case *kmsg.ListOffsetsRequest:
		method = fetch
		for _, t := range r.Topics {
			add(t.Topic, topicID{})
		}
	case *kmsg.OffsetForLeaderEpochRequest:
		method = fetch
		for _, t := range r.Topics {
			add(t.Topic, topicID{})
		}
	case *kmsg.CreateTopicsRequest:
		method = create
		for _, t := range r.Topics {
			add(t.Topic, topicID{})
		}
	case *kmsg.DeleteTopicsRequest:
		method = remove
		for _, name := range r.TopicNames {
			add(name, topicID{})
		}
		for _, t := range r.Topics {
			name := ""
			if t.Topic != nil {
				name = *t.Topic
			}
			add(name, t.TopicID)
		}
	case *kmsg.DeleteRecordsRequest:
		method = remove
		for _, t := range r.Topics {
			add(t.Topic, topicID{})
		}
	case *kmsg.CreatePartitionsRequest:
		method = alter
		for _, t := range r.Topics {
			add(t.Topic, topicID{})
		}
	case *kmsg.AlterPartitionAssignmentsRequest:
		method = alter
		for _, t := range r.Topics {
			add(t.Topic, topicID{})
		}
	case *kmsg.AlterConfigsRequest:
		method = alter
		for _, t := range r.Resources {
			if t.ResourceType == kmsg.ConfigResourceTypeTopic {
				add(t.ResourceName, topicID{})
			}
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		method = alter
		for _, t := range r.Resources {
			if t.ResourceType == kmsg.ConfigResourceTypeTopic {
				add(t.ResourceName, topicID{})
			}
		}
	}
	c.streams.mu.Lock()
	defer c.streams.mu.Unlock()
	for _, name := range names {
		if !isTopic(name) { // zeros too, in place of bytes that were left out
			return malformedKafka
		}
		c.requests[flow.Request{Protocol: flow.Kafka, Method: method, Topic: name}] = true
	}
	for _, id := range ids {
		c.uses[topicUse{method, id}] = true
	}
	return c.checkCount()
}

// isTopic reports whether Kafka allows the name of a topic.
func isTopic(name string) bool {
	const maxName = 249
	for _, b := range []byte(name) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '.', b == '_', b == '-':
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// reply handles a piece of what the server sent.
func (k *kafka) reply(it item) {
	if it.skipped > 0 {
		k.replies = nil
	}
	k.replies = append(k.replies, it.data...)
	for len(k.replies) >= 4 {
		length := binary.BigEndian.Uint32(k.replies)
		if length < 4 || length > maxKafka {
			k.replies = nil // its topics stay unknown
			return
		}
		if uint64(len(k.replies)) < 4+uint64(length) {
			return
		}
		k.response(k.replies[4 : 4+length])
		k.replies = k.replies[4+length:]
	}
}

// response learns the IDs of topics from a response.
func (k *kafka) response(text []byte) {
	correlation := int32(binary.BigEndian.Uint32(text))
	response, found := k.pending[correlation]
	if !found {
		return
	}
	delete(k.pending, correlation)
	body, ok := text[4:], true
	if response.IsFlexible() {
		body, ok = withoutTags(body)
	}
	if !ok || response.ReadFrom(body) != nil {
		return
	}
	k.streams.mu.Lock()
	defer k.streams.mu.Unlock()
	learn := func(name *string, id topicID) {
		if name != nil && isTopic(*name) && id != (topicID{}) {
			k.streams.topics[id] = *name
		}
	}
	switch r := response.(type) {
	case *kmsg.MetadataResponse:
		for _, t := range r.Topics {
			learn(t.Topic, t.TopicID)
		}
	case *kmsg.CreateTopicsResponse:
		for _, t := range r.Topics {
			learn(&t.Topic, t.TopicID)
		}
	case *kmsg.DescribeTopicPartitionsResponse:
		for _, t := range r.Topics {
			learn(t.Topic, t.TopicID)
		}
	}
}
