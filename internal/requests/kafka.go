package requests

type (
	topicID  [16]byte
	topicUse struct {
		method string
		id     topicID
	}
	kafka struct{}
)

func (k *kafka) reply(item) {}

func (c *connection) parseKafka() error { return opaque("Kafka") }
