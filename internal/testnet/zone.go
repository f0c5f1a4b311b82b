package testnet

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone is the data of a DNS server. It can be changed while it is served, and several servers can share one. The zero
// value is an empty zone.
type Zone struct {
	mu       sync.Mutex
	records  map[string][]dnsmessage.ResourceBody // by canonical name
	truncate bool
	queries  []Query
}

// Query is one question that a server received.
type Query struct {
	Name    string // lower case, without the trailing dot
	Type    string // "A", "AAAA", "CNAME", "TXT", ...
	Network string // "udp" or "tcp"
}

// MustZone returns a zone with records, and panics on one that [Zone.Add] rejects. It is for literals.
func MustZone(records ...string) *Zone {
	zone := new(Zone)
	for _, record := range records {
		if err := zone.Add(record); err != nil {
			panic(err)
		}
	}
	return zone
}

// Add adds a record, in one of these forms:
//
//	api.pay.test A 203.0.113.7
//	api.pay.test AAAA 2001:db8::7
//	www.pay.test CNAME api.pay.test
//	7.113.0.203.in-addr.arpa PTR api.pay.test
//	_pg._tcp.pay.test SRV 0 5 5432 db.pay.test
//	pay.test HTTPS 1 . ipv4hint=203.0.113.7,203.0.113.8 ipv6hint=2001:db8::7
//
// Answers with the last two contain the addresses of their targets. Names are complete; the trailing dot is optional. A
// name may have many addresses, and an address many names. Existing records stay.
func (z *Zone) Add(record string) error {
	name, body, err := parseRecord(record)
	if err != nil {
		return fmt.Errorf("add record %q: %w", record, err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.records == nil {
		z.records = map[string][]dnsmessage.ResourceBody{}
	}
	isAlias := func(body dnsmessage.ResourceBody) bool { return typeOf(body) == dnsmessage.TypeCNAME }
	if others := z.records[name]; len(others) > 0 && (isAlias(body) || slices.ContainsFunc(others, isAlias)) {
		return fmt.Errorf("add record %q: a CNAME is its name's only record", record)
	}
	z.records[name] = append(z.records[name], body)
	return nil
}

// Remove removes all records of a name.
func (z *Zone) Remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, canonical(name))
}

// Truncate makes the servers answer over UDP with the TC flag and no records, so that clients retry over TCP. Without
// it only answers that are too large for the client do so.
func (z *Zone) Truncate(on bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.truncate = on
}

// Queries returns the questions so far, in the order of arrival.
func (z *Zone) Queries() []Query {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.queries)
}

// QueryCount returns the number of queries so far for a name, of any type and over either network.
func (z *Zone) QueryCount(name string) int {
	count, name := 0, strings.TrimSuffix(canonical(name), ".")
	for _, query := range z.Queries() {
		if query.Name == name {
			count++
		}
	}
	return count
}

// found is the zone's answer to a question.
type found struct {
	records  []dnsmessage.Resource
	extra    []dnsmessage.Resource // known addresses of names in the records
	exists   bool                  // the name, after its aliases, is known
	truncate bool
}

// timeToLive is short, like that of a service that moves; none of the usual clients caches answers anyway.
const timeToLive = 30

// answerTo answers a question and records it. It follows aliases to their end, like a recursive server.
func (z *Zone) answerTo(question dnsmessage.Question, network string) found {
	z.mu.Lock()
	defer z.mu.Unlock()
	name := canonical(question.Name.String())
	z.queries = append(z.queries, Query{
		Name:    strings.TrimSuffix(name, "."),
		Type:    strings.TrimPrefix(question.Type.String(), "Type"),
		Network: network,
	})
	answer := found{truncate: z.truncate}
	owner := question.Name // in the client's spelling, because clients compare it
	const longestChain = 16
	for range longestChain {
		bodies := z.records[canonical(owner.String())]
		answer.exists = len(bodies) > 0
		var next *dnsmessage.CNAMEResource
		for _, body := range bodies {
			alias, isAlias := body.(*dnsmessage.CNAMEResource)
			if isAlias && question.Type != dnsmessage.TypeCNAME {
				next = alias
			}
			if isAlias || typeOf(body) == question.Type {
				header := dnsmessage.ResourceHeader{
					Name: owner, Type: typeOf(body), Class: dnsmessage.ClassINET, TTL: timeToLive,
				}
				answer.records = append(answer.records, dnsmessage.Resource{Header: header, Body: body})
			}
		}
		if next == nil {
			break
		}
		owner = next.CNAME
	}
	for _, record := range answer.records {
		answer.extra = append(answer.extra, z.addressesOf(record)...)
	}
	return answer
}

// addressesOf returns the addresses of the host that an SRV or HTTPS record names.
func (z *Zone) addressesOf(record dnsmessage.Resource) (addresses []dnsmessage.Resource) {
	host := record.Header.Name
	switch body := record.Body.(type) {
	case *dnsmessage.SRVResource:
		host = body.Target
	case *dnsmessage.HTTPSResource:
		if body.Target.String() != "." {
			host = body.Target
		}
	default:
		return nil
	}
	for _, body := range z.records[canonical(host.String())] {
		if kind := typeOf(body); kind == dnsmessage.TypeA || kind == dnsmessage.TypeAAAA {
			header := dnsmessage.ResourceHeader{Name: host, Type: kind, Class: dnsmessage.ClassINET, TTL: timeToLive}
			addresses = append(addresses, dnsmessage.Resource{Header: header, Body: body})
		}
	}
	return addresses
}

// canonical returns a name in the form for comparison: lower case, with a trailing dot.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }
