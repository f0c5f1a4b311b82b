package recorder

import (
	"net/netip"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/recorder/clientname"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// correlation is the stage that finds the names of a flow's destination: what DNS answered to the cgroup, and what
// clients sent on the flow's connections. It knows nothing about recordings. Recorder.mu guards it.
type correlation struct {
	names            dns.Names
	answerStreams    dns.Streams              // over TCP
	questionStreams  dns.Streams              // over TCP
	pendingQuestions map[pendingQuestion]bool // over TCP, without an answer so far
	ambiguous        []*probe.FlowEvent       // flows with several candidate names
	hints            map[probe.Key]*flowHints
	hintsAt          map[remote][]*flowHints    // the same, by remote address
	serverNames      map[uint64]serverName      // that clients sent, by ServerNameKey.Hash
	searchDomains    map[uint64]endpoint.Search // of the resolvers, by cgroup
}

// serverName is the name that a client sent; empty if the payload has none that a host can have.
type serverName struct {
	name     string
	evidence flow.Evidence
}

// remote is an address as a cgroup reaches it.
type remote struct {
	cgroup uint64
	addr   netip.Addr
}

// flowHints are the names that clients sent on the connections of a flow.
type flowHints struct {
	clientname.Hints
	event *probe.FlowEvent // nil until it arrives
}

// candidates returns the names that DNS was queried for before a flow was opened, and that resolved to its address.
func (c *correlation) candidates(k probe.Key) []string {
	return c.names.Lookup(k.Cgroup, k.Addr, k.Question(), k.Since)
}

// queried returns all names that resolved to an address for a cgroup, at any time.
func (c *correlation) queried(k probe.Key) []string {
	const ever = 1
	return c.names.Lookup(k.Cgroup, k.Addr, 0, ever)
}

// answersIn records the DNS answers that a packet completes, and returns them. It skips everything else, because
// anything may be sent to the port of DNS.
func (c *correlation) answersIn(e *probe.DNSEvent) (answers []dns.Answer) {
	messages := [][]byte{e.Payload}
	if e.Protocol == flow.TCP {
		messages, _ = c.answerStreams.Segment(e.Cookie, e.Sequence, e.SYN, e.FIN, e.RST, e.Payload)
	}
	for _, m := range messages {
		answer, err := dns.Parse(m)
		if err != nil || e.Protocol == flow.TCP && !c.isAnswer(e, m, answer.Question) {
			continue
		}
		c.names.Record(e.Cgroup, answer, e.Time)
		answers = append(answers, answer)
	}
	return answers
}

// reordered returns the flows that were opened after a DNS answer and whose events arrived before it. Events from two
// CPUs may be reordered.
func (c *correlation) reordered(e *probe.DNSEvent, answer dns.Answer) (flows []*probe.FlowEvent) {
	for _, f := range c.ambiguous {
		if f.Cgroup == e.Cgroup && f.Since <= e.Time && e.Time <= time.Duration(f.Name) && answer.Has(f.Addr) {
			flows = append(flows, f)
		}
	}
	return flows
}

// hintsOf returns the hints of a flow, and creates them if there are none.
func (c *correlation) hintsOf(k probe.Key) *flowHints {
	hints := c.hints[k]
	if hints == nil {
		if c.hints == nil {
			c.hints, c.hintsAt = make(map[probe.Key]*flowHints), make(map[remote][]*flowHints)
		}
		hints = &flowHints{}
		c.hints[k] = hints
		at := remote{k.Cgroup, k.Addr}
		c.hintsAt[at] = append(c.hintsAt[at], hints)
	}
	return hints
}

// isNamedByClient reports whether a client of any flow to an address sent one of the DNS names as the server's.
func (c *correlation) isNamedByClient(k probe.Key, names []string) bool {
	return slices.ContainsFunc(c.hintsAt[remote{k.Cgroup, k.Addr}], func(hints *flowHints) bool {
		return hints.NamesOneOf(names)
	})
}

func (c *correlation) keepServerName(hash uint64, name serverName) {
	if c.serverNames == nil {
		c.serverNames = make(map[uint64]serverName)
	}
	c.serverNames[hash] = name
}

// serverNamesOf returns the candidate names for the server of a connection, and the evidence for them. The name that
// its client sent counts most, then the names that DNS was queried for.
func (c *correlation) serverNamesOf(k probe.Key, hash uint64) (names []string, evidence flow.Evidence) {
	names = c.candidates(k)
	sent, ok := c.serverNames[hash]
	if !ok || sent.name == "" || sent.evidence == flow.ByTLSOuter && len(names) > 0 {
		return names, flow.ByDNS
	}
	queried := c.queried(k)
	if slices.Contains(queried, sent.name) {
		return []string{sent.name}, flow.ByDNS
	}
	queried = slices.DeleteFunc(queried, func(q string) bool { return !clientname.IsFormOf(q, sent.name) })
	if len(queried) > 0 {
		return queried, flow.ByDNS
	}
	return []string{sent.name}, sent.evidence
}

func (c *correlation) keepSearchDomains(cgroup uint64, search endpoint.Search) {
	if c.searchDomains == nil {
		c.searchDomains = make(map[uint64]endpoint.Search)
	}
	c.searchDomains[cgroup] = search
}
