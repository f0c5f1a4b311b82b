package cilium

import "testing"

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
