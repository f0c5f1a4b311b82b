package cilium

import (
	"slices"
	"testing"
)

func TestHTTPRule_MatchesWholeValues(t *testing.T) {
	for _, c := range []struct {
		reason            string
		rule              HTTPRule
		method, host, uri string
		want              bool
	}{
		{"no condition", HTTPRule{}, "GET", "a", "/", true},
		{"a method", HTTPRule{Method: "GET"}, "GET", "a", "/", true},
		{"a part of the method", HTTPRule{Method: "GE"}, "GET", "a", "/", false},
		{"one of two methods", HTTPRule{Method: "GET|HEAD"}, "HEAD", "a", "/", true},
		{"an alternative is as whole", HTTPRule{Method: "GET|HEA"}, "HEAD", "a", "/", false},
		{"the case of methods counts", HTTPRule{Method: "get"}, "GET", "a", "/", false},
		{"a path", HTTPRule{Path: "/a"}, "GET", "a", "/a", true},
		{"a path below", HTTPRule{Path: "/a"}, "GET", "a", "/a/b", false},
		{"a path with anchors", HTTPRule{Path: "^/a$"}, "GET", "a", "/a", true},
		{"the query belongs to the path", HTTPRule{Path: "/a"}, "GET", "a", "/a?b=c", false},
		{"a path with any query", HTTPRule{Path: `/a(\?.*)?`}, "GET", "a", "/a?b=c", true},
		{"the host", HTTPRule{Host: `billing(:[0-9]+)?`}, "GET", "billing:8080", "/", true},
		{"the port belongs to the host", HTTPRule{Host: "billing"}, "GET", "billing:8080", "/", false},
		{"all conditions", HTTPRule{Method: "GET", Path: "/a", Host: "b"}, "GET", "b", "/a", true},
		{"all but one", HTTPRule{Method: "GET", Path: "/a", Host: "b"}, "GET", "c", "/a", false},
		{"unknown headers", HTTPRule{Headers: []string{"X-A"}}, "GET", "a", "/", false},
		{"no expression", HTTPRule{Path: "("}, "GET", "a", "(", false},
		{"half of a group", HTTPRule{Path: "/a)|(/b"}, "GET", "a", "/a", false},
	} {
		if got := c.rule.Allows(c.method, c.host, c.uri); got != c.want {
			t.Errorf("%s: %+v allows %s %s%s: %v", c.reason, c.rule, c.method, c.host, c.uri, got)
		}
	}
}

// An index finds the rules that allow a request when each of them is compared with it.
func TestHTTPIndex_AgreesWithAllows(t *testing.T) {
	var rules []HTTPRule
	for _, path := range []string{
		"", "/", "/a", "/a/b", `/a(\?.*)?`, "/a.*", "/a|/b", "(", "/a)|(/b", "(?i)/A", "^/a$", `/a\.b`, "/a?", "/[a-c]",
		".*b",
	} {
		for _, method := range []string{"", "GET", "GET|POST", "P.*"} {
			rules = append(rules, HTTPRule{Path: path, Method: method}, HTTPRule{Path: path, Method: method, Host: "h"})
		}
		rules = append(rules, HTTPRule{Path: path, Headers: []string{"X"}})
	}
	x, matched := NewHTTPIndex(rules), 0
	for _, uri := range []string{"", "/", "/a", "/A", "/a/b", "/a?x=1", "/ab", "/b", "/a.b", "/c", "*", "/a\n"} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			for _, host := range []string{"", "h"} {
				var want []int
				for i, r := range rules {
					if r.Allows(method, host, uri) {
						want = append(want, i)
					}
				}
				if got := slices.Sorted(x.Allowing(method, host, uri)); !slices.Equal(got, want) {
					t.Errorf("%s %s%s: rules %v allow it, want %v", method, host, uri, got, want)
				}
				matched += len(want)
			}
		}
	}
	if matched < 100 {
		t.Errorf("only %d rules matched", matched)
	}
}
