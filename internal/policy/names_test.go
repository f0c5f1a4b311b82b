package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames_ParseAnnotation(t *testing.T) {
	for _, row := range []struct {
		reason, list string
		want         []string
		malformed    string // a part of the error; "" if there is none
	}{
		{
			"sorted or not, an entry is an entry", "b.example:443/TCP,a.example:53/UDP",
			[]string{"b.example:443/TCP", "a.example:53/UDP"},
			"",
		},
		{
			"people and YAML fold lines", " a.example:443/TCP,\n  b.example:1/SCTP ",
			[]string{"a.example:443/TCP", "b.example:1/SCTP"},
			"",
		},
		{"nothing is no name", "", nil, ""},
		{"nor is a blank", " \n", nil, ""},
		{
			"one bad entry does not hide the good ones", "a.example:443/TCP,b.example", []string{"a.example:443/TCP"},
			`"b.example"`,
		},
		{"a comma too many", "a.example:443/TCP,", []string{"a.example:443/TCP"}, `read name ""`},
		{"upper case would never match", "API.example:443/TCP", nil, "lower case"},
		{"nor would a trailing dot", "api.example.:443/TCP", nil, "host name"},
		{"an asterisk alone is no name", "*:443/TCP", nil, "every name"},
		{"a port is a number", "a.example:https/TCP", nil, "port from 1 to 65535"},
		{"from 1", "a.example:0/TCP", nil, "port from 1 to 65535"},
		{"to 65535", "a.example:65536/TCP", nil, "port from 1 to 65535"},
		{"in one way of writing", "a.example:0443/TCP", nil, "want a.example:443/TCP"},
		{"a protocol is part of it", "a.example:443", nil, "protocol TCP, UDP or SCTP"},
		{"and one that has ports", "a.example:443/ICMP", nil, "protocol TCP, UDP or SCTP"},
		{"in upper case", "a.example:443/tcp", nil, "protocol TCP, UDP or SCTP"},
		{"a URL is none", "https://a.example:443/TCP", nil, "read name"},
		{"labels end after 63 bytes", strings.Repeat("a", 64) + ".example:443/TCP", nil, "host name"},
		{"names end after 253", strings.Repeat("a.", 127) + "a:443/TCP", nil, "host name"},
	} {
		names, malformed := parseNames(row.list)
		err := errors.Join(malformed...)
		var got []string
		for _, n := range names {
			got = append(got, n.String())
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s: %q (-want +got):\n%s", row.reason, row.list, diff)
		}
		if (err != nil) != (row.malformed != "") || err != nil && !strings.Contains(err.Error(), row.malformed) {
			t.Errorf("%s: %q: error is %v, want one with %q", row.reason, row.list, err, row.malformed)
		}
	}
}

func TestNames_HostPatterns(t *testing.T) {
	for _, row := range []struct {
		pattern string
		is      []string
		isNot   []string
	}{
		{
			"api.example", []string{"api.example"},
			[]string{"api_example", "apixexample", "v2.api.example", "api.example.org", "api", ""},
		},
		{
			"*.blob.example",
			[]string{"a.blob.example", "a.b.blob.example", "_x.blob.example"},
			[]string{"blob.example", ".blob.example", "ablob.example", "a.blob.example.org", "a.blobxexample"},
		},
		{
			"shard-*.db.example",
			[]string{"shard-7.db.example", "shard-.db.example", "shard-a-b.db.example"},
			[]string{"shard-7.x.db.example", "shard.db.example", "shard-_.db.example", "x.shard-7.db.example"},
		},
		{
			"*.eu-*.db.example",
			[]string{"a.eu-1.db.example", "a.b.eu-.db.example"},
			[]string{"eu-1.db.example", "a.us-1.db.example"},
		},
		{"a.*.example", []string{"a.b.example", "a.b-c.example"}, []string{"a.b.c.example", "a.example"}},
		{"*", []string{"localhost"}, []string{"a.example"}},
	} {
		for _, host := range row.is {
			if !MatchHost(row.pattern, host) {
				t.Errorf("%s does not stand for %s", row.pattern, host)
			}
		}
		for _, host := range row.isNot {
			if MatchHost(row.pattern, host) {
				t.Errorf("%s stands for %s", row.pattern, host)
			}
		}
	}
}

// FuzzNames checks that the parser reads its own output, and compares the matcher with an independent one.
func FuzzNames(f *testing.F) {
	f.Add("api.stripe.com:443/TCP,*.blob.example:443/TCP", "a.b.blob.example")
	f.Add("shard-*.db.example:5432/TCP", "shard-7.db.example")
	f.Add("*.a*b_*c.example:1/SCTP,*.*:2/UDP,:/,*:1/TCP,,", "x.aab_c.example")
	f.Fuzz(func(t *testing.T, list, host string) {
		names, malformed := parseNames(list)
		if len(names)+len(malformed) == 0 && strings.TrimSpace(list) != "" {
			t.Errorf("%q: no name and no error", list)
		}
		for _, n := range names {
			again, err := ParseName(n.String())
			if err != nil || again != n {
				t.Errorf("%q became %q: %v", n, again, err)
			}
			if !MatchHost(n.Host, strings.ReplaceAll(n.Host, "*", "a")) {
				t.Errorf("%q does not stand for its own shape", n.Host)
			}
			if !IsHost(host) {
				continue
			}
			if got, want := MatchHost(n.Host, host), matchByLabel(n.Host, host); got != want {
				t.Errorf("%q for %q: got %v, want %v", n.Host, host, got, want)
			}
		}
	})
}

// matchByLabel is MatchHost, label by label and without regular expressions.
func matchByLabel(pattern, host string) bool {
	patterns, hosts := strings.Split(pattern, "."), strings.Split(host, ".")
	if patterns[0] == "*" && len(patterns) > 1 {
		patterns = patterns[1:]
		if len(hosts) <= len(patterns) {
			return false
		}
		hosts = hosts[len(hosts)-len(patterns):]
	}
	return slices.EqualFunc(patterns, hosts, matchLabel)
}

// matchLabel follows all paths through the label at once. An asterisk has many, and trying one after the other takes
// exponential time.
func matchLabel(pattern, label string) bool {
	at := map[int]bool{0: true}
	for _, p := range []byte(pattern) {
		next := make(map[int]bool)
		for i := range at {
			if p == '*' {
				for next[i] = true; i < len(label) && label[i] != '_'; i++ {
					next[i+1] = true
				}
			} else if i < len(label) && label[i] == p {
				next[i+1] = true
			}
		}
		at = next
	}
	return at[len(label)]
}
