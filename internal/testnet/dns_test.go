package testnet

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// query returns the zone's answer to one query.
func query(t *testing.T, zone *Zone, network, name string, kind dnsmessage.Type, edns int) dnsmessage.Message {
	t.Helper()
	query := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if edns > 0 {
		var header dnsmessage.ResourceHeader
		if err := header.SetEDNS0(edns, dnsmessage.RCodeSuccess, false); err != nil {
			t.Fatal(err)
		}
		query.Additionals = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.OPTResource{}}}
	}
	packed, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var answer dnsmessage.Message
	if err := answer.Unpack(zone.answer(packed, network)); err != nil {
		t.Fatal(err)
	}
	return answer
}

// text returns an answer in one line.
func text(message dnsmessage.Message) string {
	parts := []string{strings.TrimPrefix(message.RCode.String(), "RCode")}
	if message.Truncated {
		parts = append(parts, "truncated")
	}
	for _, record := range message.Answers {
		switch body := record.Body.(type) {
		case *dnsmessage.AResource:
			parts = append(parts, fmt.Sprintf("%s=%d", record.Header.Name, body.A))
		case *dnsmessage.AAAAResource:
			parts = append(parts, fmt.Sprintf("%s=%x", record.Header.Name, body.AAAA[14:]))
		case *dnsmessage.CNAMEResource:
			parts = append(parts, fmt.Sprintf("%s=%s", record.Header.Name, body.CNAME))
		case *dnsmessage.SRVResource:
			parts = append(parts, fmt.Sprintf("%s=%s:%d", record.Header.Name, body.Target, body.Port))
		case *dnsmessage.HTTPSResource:
			v4, _ := body.GetParam(dnsmessage.SVCParamIPv4Hint)
			v6, _ := body.GetParam(dnsmessage.SVCParamIPv6Hint)
			parts = append(parts, fmt.Sprintf("%s=%d:%s:%d:%x", record.Header.Name, body.Priority, body.Target, v4, v6))
		}
	}
	for _, record := range message.Additionals {
		if record.Header.Type != dnsmessage.TypeOPT {
			parts = append(parts, fmt.Sprintf("+%s:%s", record.Header.Name,
				strings.TrimPrefix(record.Header.Type.String(), "Type")))
		}
	}
	return strings.Join(parts, " ")
}

func TestDNS_Answers(t *testing.T) {
	zone := MustZone(
		"api.pay.test A 203.0.113.7",
		"Api.Pay.Test. AAAA 2001:db8::7",
		"www.pay.test CNAME shop.pay.test",
		"shop.pay.test CNAME api.pay.test",
		"dangling.pay.test CNAME unknown.test",
		"loop.pay.test CNAME loop.pay.test",
		"_pg._tcp.pay.test SRV 0 5 5432 api.pay.test",
		"_ldap._tcp.pay.test SRV 0 5 389 unknown.test",
		"alias.test HTTPS 0 api.pay.test",
		"api.pay.test https 1 . ipv4hint=203.0.113.7,203.0.113.8 ipv6hint=2001:db8::7",
	)
	for _, tt := range []struct {
		name   string
		kind   dnsmessage.Type
		want   string
		reason string
	}{
		{"api.pay.test.", dnsmessage.TypeA, "Success api.pay.test.=[203 0 113 7]", "an address"},
		{"api.pay.test.", dnsmessage.TypeAAAA, "Success api.pay.test.=0007", "names are compared without their case"},
		{
			"aPi.pay.TEST.", dnsmessage.TypeA, "Success aPi.pay.TEST.=[203 0 113 7]",
			"the answer has the spelling of the query",
		},
		{"api.pay.test.", dnsmessage.TypeTXT, "Success", "the name is known, the type is not"},
		{"unknown.test.", dnsmessage.TypeA, "NameError", "the name is not known"},
		{"pay.test.", dnsmessage.TypeA, "NameError", "a parent without a record"},
		{"www.pay.test.", dnsmessage.TypeA, "Success www.pay.test.=shop.pay.test. shop.pay.test.=api.pay.test. " +
			"api.pay.test.=[203 0 113 7]", "aliases are followed"},
		{"www.pay.test.", dnsmessage.TypeCNAME, "Success www.pay.test.=shop.pay.test.",
			"a query for the alias itself"},
		{"dangling.pay.test.", dnsmessage.TypeA, "NameError dangling.pay.test.=unknown.test.", "an alias of an unknown name"},
		{"_pg._tcp.pay.test.", dnsmessage.TypeSRV,
			"Success _pg._tcp.pay.test.=api.pay.test.:5432 +api.pay.test.:A +api.pay.test.:AAAA",
			"the answer includes the target's addresses"},
		{"_ldap._tcp.pay.test.", dnsmessage.TypeSRV, "Success _ldap._tcp.pay.test.=unknown.test.:389",
			"a target without addresses"},
		{"alias.test.", dnsmessage.TypeHTTPS,
			"Success alias.test.=0:api.pay.test.:[]: +api.pay.test.:A +api.pay.test.:AAAA",
			"the addresses of an HTTPS record's target"},
		{"api.pay.test.", dnsmessage.TypeHTTPS,
			"Success api.pay.test.=1:.:[203 0 113 7 203 0 113 8]:20010db8000000000000000000000007 +api.pay.test.:A " +
				"+api.pay.test.:AAAA", "the addresses of its own name"},
		{"loop.pay.test.", dnsmessage.TypeA, "Success" + strings.Repeat(" loop.pay.test.=loop.pay.test.", 16),
			"a loop ends"},
	} {
		answer := query(t, zone, "tcp", tt.name, tt.kind, 0)
		if diff := cmp.Diff(tt.want, text(answer)); diff != "" {
			t.Errorf("%s %s, because %s (-want +got):\n%s", tt.kind, tt.name, tt.reason, diff)
		}
		if answer.ID != 7 || !answer.Response || !answer.RecursionAvailable || len(answer.Questions) != 1 {
			t.Errorf("%s %s: bad header or question: %+v", tt.kind, tt.name, answer.Header)
		}
	}
	if got := zone.QueryCount("API.pay.test"); got != 5 {
		t.Errorf("%d queries for api.pay.test, want 5", got)
	}
	if diff := cmp.Diff(Query{"api.pay.test", "A", "tcp"}, zone.Queries()[0]); diff != "" {
		t.Errorf("first query (-want +got):\n%s", diff)
	}
}

func TestDNS_AnswerSize(t *testing.T) {
	zone := new(Zone)
	for n := range 40 { // 40 records of 16 bytes: more than 512, less than 1232
		if err := zone.Add(fmt.Sprintf("many.test A 203.0.113.%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		network   string
		edns      int
		truncated bool
		reason    string
	}{
		{"udp", 0, true, "512 bytes without EDNS"},
		{"udp", 512, true, "the client takes no more"},
		{"udp", 1232, false, "the client takes it"},
		{"tcp", 0, false, "TCP has room"},
	} {
		answer := query(t, zone, tt.network, "many.test.", dnsmessage.TypeA, tt.edns)
		if answer.Truncated != tt.truncated || len(answer.Answers) == 0 != tt.truncated {
			t.Errorf("%s, EDNS %d: got truncated %t, %d records: %s", tt.network, tt.edns, answer.Truncated,
				len(answer.Answers), tt.reason)
		}
		if got, want := len(answer.Additionals) == 1, tt.edns > 0; got != want {
			t.Errorf("%s, EDNS %d: got EDNS in the answer %t, want %t", tt.network, tt.edns, got, want)
		}
	}

	zone.Truncate(true)
	if got := text(query(t, zone, "udp", "many.test.", dnsmessage.TypeA, 1232)); got != "Success truncated" {
		t.Errorf("over UDP: got %q", got)
	}
	if answer := query(t, zone, "tcp", "many.test.", dnsmessage.TypeA, 0); answer.Truncated || len(answer.Answers) != 40 {
		t.Errorf("over TCP: got truncated %t, %d records", answer.Truncated, len(answer.Answers))
	}
}

func TestDNS_NotAQuery(t *testing.T) {
	zone := new(Zone)
	response, err := (&dnsmessage.Message{Header: dnsmessage.Header{Response: true}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range [][]byte{nil, []byte("hello"), response} {
		if answer := zone.answer(query, "udp"); answer != nil {
			t.Errorf("%q got %q", query, answer)
		}
	}
	for code, message := range map[dnsmessage.RCode]dnsmessage.Message{
		dnsmessage.RCodeFormatError:    {},
		dnsmessage.RCodeNotImplemented: {Header: dnsmessage.Header{OpCode: 4}},
	} {
		query, err := message.Pack()
		if err != nil {
			t.Fatal(err)
		}
		var answer dnsmessage.Message
		if err := answer.Unpack(zone.answer(query, "udp")); err != nil || answer.RCode != code {
			t.Errorf("got %v (%v), want %v", answer.RCode, err, code)
		}
	}
}

func TestZone_InvalidRecords(t *testing.T) {
	zone := MustZone("api.test A 203.0.113.7", "www.test CNAME api.test")
	for _, record := range []string{
		"", "api.test A", "api.test A 203.0.113.7 300", "api.test MX mail.test", "api.test A 2001:db8::7",
		"api.test AAAA 203.0.113.7", "api.test A pay.test", ". A 203.0.113.7", "api.test CNAME www.test",
		"www.test A 203.0.113.7", "www.test CNAME pay.test",
		"a.test SRV 0 0 db.test", "a.test SRV 0 0 70000 db.test", "a.test SRV 0 0 5432 " + strings.Repeat("x", 300),
		"a.test HTTPS 1", "a.test HTTPS x .", "a.test HTTPS 1 " + strings.Repeat("x", 300), "a.test HTTPS 1 . alpn=h2",
		"a.test HTTPS 1 . ipv4hint=", "a.test HTTPS 1 . ipv4hint=2001:db8::7",
		strings.Repeat("x", 300) + " A 203.0.113.7", "api.test CNAME " + strings.Repeat("x", 300),
	} {
		if err := zone.Add(record); err == nil {
			t.Errorf("%q was added", record)
		}
	}
}
