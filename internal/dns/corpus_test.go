package dns

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// corpusPacket is a packet in testdata with the expected result of Parse.
type corpusPacket struct {
	file    string
	want    Answer
	wantErr string
	reason  string
}

// corpus is all of testdata.
var corpus = slices.Concat(basicPackets, resolverPackets, servicePackets)

// basicPackets test one thing each, or are not answers.
var basicPackets = []corpusPacket{
	{file: "a", want: answer("example.com", "203.0.113.7"), reason: "the plain case"},
	{file: "aaaa", want: answer("example.com", "2001:db8::7"), reason: "the plain case, IPv6"},
	{file: "aaaa-mapped", want: answer("example.com", "203.0.113.7"),
		reason: "a mapped address is its IPv4 address, and a repeat says nothing new"},
	{file: "cname-chain", want: answer("www.example.com", "198.51.100.1", "198.51.100.2"),
		reason: "the question is the name, not the end of its chain"},
	{file: "cname-backwards", want: answer("www.example.com", "198.51.100.1"),
		reason: "neither order nor case of the owners matters"},
	{file: "cname-loop", want: answer("www.example.com", "198.51.100.9"),
		reason: "no chain is followed, so none can loop"},
	{file: "dname", want: answer("api.old.test", "198.51.100.3"), reason: "the queried name, although the zone moved"},
	{file: "foreign-owner", want: answer("example.com", "198.51.100.9"),
		reason: "the kernel program counts every address for the question"},
	{file: "mixed-case", want: answer("example.com", "203.0.113.7"),
		reason: "the case that the resolver rolled is no part of the name"},
	{file: "edns", want: answer("example.com", "203.0.113.7"), reason: "OPT is no answer"},
	{file: "nxdomain", want: answer("nowhere.example.com"), reason: "no such name: no address, no error"},
	{file: "nxdomain-with-address", want: answer("nowhere.example.com"),
		reason: "a stub resolver drops the answers of an error"},
	{file: "servfail", want: answer("example.com"), reason: "no error: the question is valid"},
	{file: "no-data", want: answer("example.com"), reason: "Happy Eyeballs asks for AAAA where there is none"},
	{file: "search-list", want: answer("orders-db.default.svc.cluster.local"), reason: "a miss of the search list"},
	{file: "truncated-tc", want: truncated(answer("big.example.com")), reason: "TC is passed on"},
	{file: "truncated-tc-address", want: truncated(answer("big.example.com", "203.0.113.7")),
		reason: "the records that fit count"},
	{file: "srv", want: service("_ldap._tcp.example.com", "dc1.example.com", "203.0.113.8"),
		reason: "clients dial the target"},
	{file: "https", want: answer("example.com", "203.0.113.7"),
		reason: "a browser connects to a hint before any address record comes"},
	{file: "chaos-class", want: answer("example.com"), reason: "an A record of class CH holds no IPv4 address"},
	{file: "short-address", want: answer("example.com", "203.0.113.7"),
		reason: "three bytes are no address, and must not be filled up from the next record"},
	{file: "odd-bytes", want: answer(`\042.a\010\044.\255\092.test`, "203.0.113.7"),
		reason: "safe for YAML, terminals, comma-separated lists and patterns"},
	{file: "max-name", want: answer(strings.Repeat("a", 63)+"."+strings.Repeat("b", 63)+"."+strings.Repeat("c", 63)+"."+
		strings.Repeat("d", 61), "203.0.113.7"), reason: "255 bytes are allowed"},
	{file: "root", want: answer(""), reason: "the root is a name"},
	{file: "loop-owner", want: truncated(answer("example.com", "203.0.113.7")),
		reason: "one bad owner does not hide the sound record behind it"},
	{file: "pointer-beyond", want: truncated(answer("example.com")), reason: "the record is skipped, and that is said"},
	{file: "reserved-label", want: truncated(answer("example.com", "203.0.113.7")),
		reason: "nothing after it is readable, but earlier records count"},
	{file: "cut-in-record", want: truncated(answer("example.com", "203.0.113.7")),
		reason: "a cut capture is read as far as it goes"},
	{file: "overrun", want: truncated(answer("example.com", "203.0.113.7")),
		reason: "a record that claims more bytes than there are ends the reading"},
	{file: "too-many-announced", want: truncated(answer("example.com", "203.0.113.7")),
		reason: "the count is not trusted"},

	{file: "too-long-name", wantErr: "parse DNS question: ", reason: "256 bytes are not allowed"},
	{file: "dot-in-label", wantErr: "parse DNS question: ", reason: "it would read as another name"},
	{file: "loop-question", wantErr: "parse DNS question: ", reason: "without a question there is nothing to learn"},
	{file: "cut-in-question", wantErr: "parse DNS question: ", reason: "half a question is none"},
	{file: "no-question", wantErr: "parse DNS question: not exactly one question",
		reason: "the question is unknown"},
	{file: "two-questions", wantErr: "parse DNS question: not exactly one question",
		reason: "the answered one is unknown"},
	{file: "second-question-cut", wantErr: "parse DNS question: not exactly one question",
		reason: "two were announced"},
	{file: "query", wantErr: "parse DNS message: not a response", reason: "a query teaches nothing"},
	{file: "update", wantErr: "parse DNS message: not a standard query", reason: "its first section is no question"},
	{file: "header-cut", wantErr: "parse DNS header: ", reason: "a header has twelve bytes"},
}

func TestParse_Corpus(t *testing.T) {
	known := map[string]bool{}
	for _, tt := range corpus {
		known[tt.file] = true
		t.Run(tt.file, func(t *testing.T) {
			got, err := Parse(packet(t, tt.file))
			if tt.wantErr != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q: %s", err, tt.wantErr, tt.reason)
				}
				tt.want = Answer{}
			} else if err != nil {
				t.Fatalf("%v: %s", err, tt.reason)
			}
			diffAnswers(t, tt.want, got, tt.reason)
		})
	}
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) != len(corpus) {
		t.Errorf("%d packets in testdata and %d in the table (%v)", len(files), len(corpus), err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".hex"); !known[name] {
			t.Errorf("%s is not in the table", file)
		}
	}
}

// packet reads a file of testdata: hex digits, and comments from # to the end of the line.
func packet(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		tb.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	msg, err := hex.DecodeString(digits.String())
	if err != nil || len(msg) == 0 {
		tb.Fatalf("read %s: %d bytes, %v", name, len(msg), err)
	}
	return msg
}

func answer(question string, addrs ...string) Answer {
	a := Answer{Question: question, Name: question}
	for _, addr := range addrs {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(addr))
	}
	return a
}

// service is an answer to a question for SRV records, with the addresses of a target, if there are any.
func service(question, target string, addrs ...string) Answer {
	a := Answer{Question: question, Service: target != ""}
	if t := answer(target, addrs...); len(addrs) > 0 {
		a.Targets = []Target{{target, t.Addrs}}
	}
	return a
}

// meaning is an answer with another name than the question.
func meaning(name string, a Answer) Answer {
	a.Name = name
	return a
}

func truncated(a Answer) Answer {
	a.Truncated = true
	return a
}

func diffAnswers(t *testing.T, want, got Answer, reason string) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}
