package hubble

import (
	"encoding/json"
	"strconv"
)

// message is one line: a GetFlowsResponse, or a flow alone as the older "hubble observe -o json" prints it. The
// embedded flow then holds the fields, otherwise node_name and time.
type message struct {
	Flow       *event      `json:"flow,omitempty"`
	NodeStatus *nodeStatus `json:"node_status,omitempty"`
	LostEvents *lostEvents `json:"lost_events,omitempty"`
	event
}

// event is a flow.Flow: one packet, or one message of an L7 protocol, at one point of the data path.
type event struct {
	Time           string     `json:"time,omitempty"` // RFC 3339
	Verdict        word       `json:"verdict,omitempty"`
	DropReason     number     `json:"drop_reason,omitempty"` // the number of DropReasonDesc, for older versions
	IP             *ip        `json:"IP,omitempty"`
	L4             *layer4    `json:"l4,omitempty"`
	Source         *endpoint  `json:"source,omitempty"`
	Destination    *endpoint  `json:"destination,omitempty"`
	Type           word       `json:"Type,omitempty"`
	NodeName       string     `json:"node_name,omitempty"`
	SourceNames    []string   `json:"source_names,omitempty"`
	Names          []string   `json:"destination_names,omitempty"`
	L7             *layer7    `json:"l7,omitempty"`
	Reply          bool       `json:"reply,omitempty"` // IsReply of older versions, where false means unknown
	EventType      *eventType `json:"event_type,omitempty"`
	Service        *service   `json:"destination_service,omitempty"`
	Direction      word       `json:"traffic_direction,omitempty"`
	Point          word       `json:"trace_observation_point,omitempty"`
	Reason         word       `json:"trace_reason,omitempty"`
	DropReasonDesc word       `json:"drop_reason_desc,omitempty"`
	IsReply        *bool      `json:"is_reply,omitempty"` // nil means unknown
	Summary        string     `json:"Summary,omitempty"`

	EgressAllowedBy  []policyRef `json:"egress_allowed_by,omitempty"`
	IngressAllowedBy []policyRef `json:"ingress_allowed_by,omitempty"`
	EgressDeniedBy   []policyRef `json:"egress_denied_by,omitempty"`
	IngressDeniedBy  []policyRef `json:"ingress_denied_by,omitempty"`

	Aggregate *aggregate `json:"aggregate,omitempty"`
}

type ip struct {
	Source      string `json:"source,omitempty"`
	Destination string `json:"destination,omitempty"`
	Version     word   `json:"ipVersion,omitempty"`
}

type layer4 struct {
	TCP    *ports `json:"TCP,omitempty"`
	UDP    *ports `json:"UDP,omitempty"`
	SCTP   *ports `json:"SCTP,omitempty"`
	ICMPv4 *icmp  `json:"ICMPv4,omitempty"`
	ICMPv6 *icmp  `json:"ICMPv6,omitempty"`
}

type ports struct {
	Source      number `json:"source_port,omitempty"`
	Destination number `json:"destination_port,omitempty"`
	Flags       *flags `json:"flags,omitempty"`      // TCP
	Chunk       word   `json:"chunk_type,omitempty"` // SCTP
}

type flags struct {
	SYN bool `json:"SYN,omitempty"`
	ACK bool `json:"ACK,omitempty"`
}

type icmp struct {
	Type number `json:"type,omitempty"`
}

type endpoint struct {
	ID        number     `json:"ID,omitempty"`       // of an endpoint on the reporting node; 0 for others
	Identity  number     `json:"identity,omitempty"` // of the set of labels
	Namespace string     `json:"namespace,omitempty"`
	Labels    []string   `json:"labels,omitempty"` // "k8s:app=web"
	PodName   string     `json:"pod_name,omitempty"`
	Workloads []workload `json:"workloads,omitempty"`
}

type workload struct {
	Name string `json:"name,omitempty"`
	Kind string `json:"kind,omitempty"`
}

type service struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

type policyRef struct {
	Name string `json:"name,omitempty"`
}

type eventType struct {
	Type    number `json:"type,omitempty"`
	SubType number `json:"sub_type,omitempty"`
}

type layer7 struct {
	Type word  `json:"type,omitempty"`
	DNS  *dns  `json:"dns,omitempty"`
	HTTP *http `json:"http,omitempty"`

	Kafka *kafka `json:"kafka,omitempty"` // of Cilium before 1.20
}

type dns struct {
	Query string   `json:"query,omitempty"` // "api.example.com."
	IPs   []string `json:"ips,omitempty"`
	RCode number   `json:"rcode,omitempty"`
	Types []string `json:"qtypes,omitempty"`
}

type http struct {
	Method   string   `json:"method,omitempty"`
	URL      string   `json:"url,omitempty"`
	Protocol string   `json:"protocol,omitempty"` // "HTTP/1.1", "HTTP/2"
	Headers  []header `json:"headers,omitempty"`
}

type header struct {
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
}

type kafka struct {
	Key   string `json:"api_key,omitempty"` // "produce"
	Topic string `json:"topic,omitempty"`
}

// aggregate has the number of events that one stands for, where Hubble aggregates.
type aggregate struct {
	Ingress number `json:"ingress_flow_count,omitempty"`
	Egress  number `json:"egress_flow_count,omitempty"`
	Unknown number `json:"unknown_direction_flow_count,omitempty"`
}

type lostEvents struct {
	Source word   `json:"source,omitempty"`
	Count  number `json:"num_events_lost,omitempty"`
}

type nodeStatus struct {
	State word     `json:"state_change,omitempty"`
	Nodes []string `json:"node_names,omitempty"`
}

// The words that both directions need.
const (
	forwarded = "FORWARDED"
	dropped   = "DROPPED"
	denied    = "POLICY_DENIED"
	ingress   = "INGRESS"
	egress    = "EGRESS"
	layer34   = "L3_L4"
	l7        = "L7"
	request   = "REQUEST"
	response  = "RESPONSE"
)

// The numbers of Cilium for types of events (pkg/monitor/api) and the drop reason POLICY_DENIED.
const (
	traceEvent   = 4
	verdictEvent = 5
	l7Event      = 129
	policyDenied = 133
	nameError    = 3 // DNS RCODE
)

// word is the name of an enum's value. Protobuf writes a value that it does not know as a number.
type word string

func (w *word) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, (*string)(w))
	}
	var n *number
	if err := json.Unmarshal(text, &n); err != nil || n == nil {
		return err
	}
	*w = word(strconv.FormatUint(uint64(*n), 10))
	return nil
}

// number is an unsigned integer. Protobuf writes those of 64 bits as strings.
type number uint64

func (n *number) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		parsed, err := strconv.ParseUint(s, 10, 64)
		*n = number(parsed)
		return err
	}
	return json.Unmarshal(text, (*uint64)(n))
}

// snakeKeys returns JSON with its keys as Hubble writes them: "destinationPort", which protobuf writes by default,
// becomes "destination_port". It returns the text itself if there is nothing to change.
func snakeKeys(text []byte) []byte {
	var out []byte
	copied := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		start := i + 1
		camel := false
		for i = start; i < len(text) && text[i] != '"'; i++ {
			if text[i] == '\\' {
				i++
			}
			camel = camel || i > start && i < len(text) && isUpper(text[i]) && isLower(text[i-1])
		}
		if !camel || i >= len(text) || !isKey(text[i+1:]) {
			continue
		}
		out = append(out, text[copied:start]...)
		for j := start; j < i; j++ {
			c := text[j]
			if isUpper(c) && j > start && isLower(text[j-1]) {
				out = append(out, '_')
			}
			if isUpper(c) {
				c += 'a' - 'A'
			}
			out = append(out, c)
		}
		copied = i
	}
	if copied == 0 {
		return text
	}
	return append(out, text[copied:]...)
}

// isKey reports whether a string before the rest of a JSON text is a key.
func isKey(rest []byte) bool {
	for _, c := range rest {
		if c != ' ' && c != '\t' {
			return c == ':'
		}
	}
	return false
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isLower(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
