package testnet

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Zone is what a DNS server knows. It can be changed while it is served, and several servers can share one. The zero
// value is an empty zone.
type Zone struct {
	mu       sync.Mutex
	records  map[string][]dnsmessage.ResourceBody // by canonical name
	truncate bool
	queries  []Query
}

// Query is one question that a server received.
type Query struct {
	Name    string // lower case, without the last dot
	Type    string // "A", "AAAA", "CNAME", "TXT", ...
	Network string // "udp" or "tcp"
}

// MustZone returns a zone with records, and panics on one that [Zone.Add] refuses. It is for literals.
func MustZone(records ...string) *Zone {
	zone := new(Zone)
	for _, record := range records {
		if err := zone.Add(record); err != nil {
			panic(err)
		}
	}
	return zone
}

// Add adds a record: "api.pay.test A 203.0.113.7", "api.pay.test AAAA 2001:db8::7", "www.pay.test CNAME
// api.pay.test", "7.113.0.203.in-addr.arpa PTR api.pay.test", "_pg._tcp.pay.test SRV 0 5 5432 db.pay.test" or "pay.test HTTPS 1 . ipv4hint=203.0.113.7,203.0.113.8
// ipv6hint=2001:db8::7"; the addresses of what the last two name come with them. Names are complete; the last dot may be left out. A name may have many addresses, and an address
// many names. Records that are there already stay.
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

// Remove takes all records of a name away.
func (z *Zone) Remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, canonical(name))
}

// Truncate makes the servers answer over UDP with the TC flag and no records, so that clients come again over TCP.
// Without it only answers that are too large for the client do so.
func (z *Zone) Truncate(on bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.truncate = on
}

// Queries returns the questions so far, in the order in which they came.
func (z *Zone) Queries() []Query {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.queries)
}

// Asked counts the questions so far for a name, of any type and over either network.
func (z *Zone) Asked(name string) int {
	count, name := 0, strings.TrimSuffix(canonical(name), ".")
	for _, query := range z.Queries() {
		if query.Name == name {
			count++
		}
	}
	return count
}

// found is the answer to a question, as the zone has it.
type found struct {
	records  []dnsmessage.Resource
	extra    []dnsmessage.Resource // addresses of what the records name, as far as they are known
	exists   bool                  // whether the name, after its aliases, is known
	truncate bool
}

// timeToLive is short, as that of a service that moves; none of the usual clients keeps answers anyway.
const timeToLive = 30

// look answers a question and remembers it. It follows aliases to their end, as a recursive server does.
func (z *Zone) look(question dnsmessage.Question, network string) found {
	z.mu.Lock()
	defer z.mu.Unlock()
	name := canonical(question.Name.String())
	z.queries = append(z.queries, Query{
		Name:    strings.TrimSuffix(name, "."),
		Type:    strings.TrimPrefix(question.Type.String(), "Type"),
		Network: network,
	})
	answer := found{truncate: z.truncate}
	owner := question.Name // as it was spelt: clients compare
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

// canonical is the form in which names are compared: lower case, with the last dot.
func canonical(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }
