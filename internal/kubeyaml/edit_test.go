package kubeyaml

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// change edits a text to have the content of another one.
func change(t *testing.T, from, to string) (string, bool) {
	t.Helper()
	tree := func(text string) any {
		v, fault := Document{Body: text, Line: 1}.Tree()
		if fault != nil {
			t.Fatalf("%+v in:\n%s", fault, text)
		}
		return v
	}
	want := tree(to)
	identity := func(element any) string {
		rule, _ := element.(map[string]any)
		text, _ := json.Marshal(rule["to"])
		return strings.TrimPrefix(string(text), "null")
	}
	return Document{Body: from, Line: 1}.Edit(
		Change{From: tree(from), To: want, Identity: identity, Holds: func(body string) bool {
			got, fault := Document{Body: body, Line: 1}.Tree()
			return fault == nil && reflect.DeepEqual(got, want)
		}})
}

const commented = `# on top
name: shop   # ours
rules: # in this order

# for the cache
- to: [cache] # the new one
  ports:
  # of Redis
  - 6379 # plain
  # of its exporter
  - 9121

# Ada wants this,
# ask her
- ports: [80, 443,   8080] # web
  to:
  - "web"
  - 'api'
- to: [db]
  ports: [5432]
# until here
note: |
  text
  # no comment
last: 1
# below
`

func TestEdit_MinimalChange(t *testing.T) {
	replace := func(oldnew ...string) string {
		text := commented
		for i := 0; i < len(oldnew); i += 2 {
			if !strings.Contains(text, oldnew[i]) {
				t.Fatalf("no %q", oldnew[i])
			}
			text = strings.Replace(text, oldnew[i], oldnew[i+1], 1)
		}
		return text
	}
	cache := commented[strings.Index(commented, "# for the cache") : strings.Index(commented, "\n# Ada")+1]
	ada := commented[strings.Index(commented, "# Ada"):strings.Index(commented, "- to: [db]")]
	for _, c := range []struct{ reason, from, to, want string }{
		{"an element of a block goes with the comments above of and in it", commented,
			replace("  # of Redis\n  - 6379 # plain\n", ""), replace("  # of Redis\n  - 6379 # plain\n", "")},
		{"the last one of a block", commented, replace("  # of its exporter\n  - 9121\n", ""),
			replace("  # of its exporter\n  - 9121\n", "")},
		{"a rule goes with its comments, and not with those of the next", commented, replace(cache, ""),
			replace(cache, "")},
		{"a rule in between", commented, replace(ada, ""), replace(ada, "")},
		{"the last rule, but not what is above of the next field", commented,
			replace("- to: [db]\n  ports: [5432]\n", ""), replace("- to: [db]\n  ports: [5432]\n", "")},
		{"all ports are others, the rule is the same", commented, replace("[5432]", "[6432]"),
			replace("[5432]", "[6432]")},
		{"in brackets, the first", commented, replace("[80, 443,   8080]", "[443, 8080]"),
			replace("[80, 443,   8080]", "[443,   8080]")},
		{"in brackets, the last", commented, replace("[80, 443,   8080]", "[80, 443]"),
			replace("[80, 443,   8080]", "[80, 443]")},
		{"in brackets, two", commented, replace("[80, 443,   8080]", "[8080]"), replace("[80, 443,   8080]", "[8080]")},
		{"in brackets, one more in between", commented, replace("443,", "443, 444,"), replace("443,", "443, 444,")},
		{"in brackets, one more in front", commented, replace("[80,", "[79, 80,"), replace("[80,", "[79, 80,")},
		{"in brackets, another first one", commented, replace("[80,", "[79,"), replace("[80,", "[79,")},
		{"an element more in a block", commented, replace("  - 9121\n", "  - 9121\n  - 9122\n"),
			replace("  - 9121\n", "  - 9121\n  - 9122\n")},
		{"an element more in front, before the comment of the one behind", commented,
			replace("  # of Redis\n  - 6379 # plain\n", "  - 1\n  - 6379\n"),
			replace("  # of Redis\n", "  - 1\n  # of Redis\n")},
		{"a value keeps its quotes", "a: {b: 'x'} # one\nc: \"1\"\nd: x # four\n", "{a: {b: 'on'}, c: 'no', d: '*'}",
			"a: {b: 'on'} # one\nc: \"no\"\nd: '*' # four\n"},
		{"a value gets the quotes that it needs", commented, replace("name: shop", `name: "443"`),
			replace("name: shop", `name: "443"`)},
		{"in brackets a value needs more of them", "a: x\nb: {c: x}\n", "{a: 'y:1,z', b: {c: 'y:1,z'}}",
			"a: y:1,z\nb: {c: 'y:1,z'}\n"},
		{"a value becomes a number", commented, replace("last: 1", "last: 2"), replace("last: 1", "last: 2")},
		{"a text in several lines", commented, replace("  text\n  # no comment\n", "  other\n"),
			replace("  text\n  # no comment\n", "  other\n")},
		{"a field goes", commented, replace("note: |\n  text\n  # no comment\n", ""),
			replace("# until here\nnote: |\n  text\n  # no comment\n", "")},
		{"a field more", commented, replace("last: 1\n", "last: 1\nmore: [a]\n"),
			replace("last: 1\n", "last: 1\nmore:\n- a\n")},
		{"the first field of an element", commented, replace("- ports: [80, 443,   8080] # web\n  to:\n", "- to:\n"),
			replace("- ports: [80, 443,   8080] # web\n  to:\n", "- to:\n")},
		{"a list becomes empty", commented, replace("[5432]", "[]"), replace("[5432]", "[]")},
		{"fields in their order", "a: 1\nc: 1\n", "a: 1\nb: 1\nc: 1\n", "a: 1\nb: 1\nc: 1\n"},
		{"first of all", "b: 1\nc: 1\n", "a: 1\nb: 1\nc: 1\n", "a: 1\nb: 1\nc: 1\n"},
		{"first of an element", "- b: 1\n", "- a: 1\n  b: 1\n", "- a: 1\n  b: 1\n"},
		{"lists that are indented", "a:\n  - b:\n      - 1\nc: 1\n", "{a: [{b: [1]}, {b: [{x: 1, z: [2]}]}], c: 1}",
			"a:\n  - b:\n      - 1\n  - b:\n      - x: 1\n        z:\n          - 2\nc: 1\n"},
		{"blank lines between", "a:\n- 1\n\n- 2\nb: 1\n", "{a: [1, 2, 3], b: 1}", "a:\n- 1\n\n- 2\n\n- 3\nb: 1\n"},
		{"blank lines behind", "a:\n- 1\n\n- 2\n\nb: 1\n", "{a: [1], b: 1}", "a:\n- 1\n\nb: 1\n"},
		{"a dash alone", "a:\n-\n  # of b\n  b: 1\n- c: 1\n", "{a: [{c: 1}]}", "a:\n- c: 1\n"},
		{"no line end", "a: 1", "a: 2", "a: 2\n"},
		{"letters of several bytes", "ä: {ü: 'ö', x: [é, f]} # ß\n", "ä: {ü: 'o', x: [f]}",
			"ä: {ü: 'o', x: [f]} # ß\n"},
		{"brackets, quotes and commas in values", `a: {"x,]": 'it''s, }', v: it's, z: "\"]", w: [1, 2]}` + "\n",
			`a: {"x,]": 'it''s, }', z: "\"]", w: [2]}`, `a: {"x,]": 'it''s, }', z: "\"]", w: [2]}` + "\n"},
		{"brackets over several lines", "a: [\n  1, # one\n  2, # two\n]\n", "a: [1, 2, 3]",
			"a: [\n  1, # one\n  2, # two\n  3,\n]\n"},
		{"of which one goes, with what is said of it", "a: [\n  # one\n  1, # eins\n  # two\n  2 # zwei\n]\n", "a: [2]",
			"a: [\n  # two\n  2 # zwei\n]\n"},
		{"the last of them", "a: [\n  # one\n  1, # eins\n  # two\n  2 # zwei\n]\n", "a: [1]",
			"a: [\n  # one\n  1 # eins\n]\n"},
		{"one becomes another", "a: [\n  # one\n  1, # eins\n  # two\n  2 # zwei\n]\n", "a: [1, 3]",
			"a: [\n  # one\n  1, # eins\n  3\n]\n"},
		{"one more behind", "{\n  \"a\": {\"x\": 1},\n  \"b\": [\n    1\n  ]\n}\n", "{a: {x: 1}, b: [1, 2], c: 3}",
			"{\n  \"a\": {\"x\": 1},\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\":3\n}\n"},
		{"JSON stays JSON", `{"a": [{"b": "<c>"}], "d": 1}` + "\n",
			`{"a": [{"b": "<c>"}, {"b": "x&y", "c": "é"}], "d": 2}`,
			`{"a": [{"b": "<c>"}, {"b":"x&y","c":"é"}], "d": 2}` + "\n"},
		{"an anchor that is not in the way", "a: &x [1]\nb: *x\nc: 1\n", "{a: [1], b: [1], c: 2}",
			"a: &x [1]\nb: *x\nc: 2\n"},
		{"an alias of which less remains", "a: &x [1, 2]\nb: *x\nc: 1 # one\n", "{a: [1, 2], b: [1], c: 1}",
			"a: &x [1, 2]\nb:\n- 1\nc: 1 # one\n"},
		{"what an alias stands for changes, for one of both", "a: &x [1, 2]\nb: *x\nc: 1 # one\n",
			"{a: [1], b: [1, 2], c: 1}", "a: &x [1]\nb: [1, 2]\nc: 1 # one\n"},
		{"what an alias stands for changes, for both", "a: &x [1, 2]\nb: *x\nc: 1 # one\n", "{a: [1], b: [1], c: 1}",
			"a: &x [1]\nb:\n- 1\nc: 1 # one\n"},
		{"what an alias stands for goes", "a: &x [1, 2]\nb: *x\nc: 1 # one\n", "{b: [1, 2], c: 1}",
			"b: [1, 2]\nc: 1 # one\n"},
	} {
		got, ok := change(t, c.from, c.to)
		if diff := cmp.Diff(c.want, got); diff != "" || !ok {
			t.Errorf("%s: %v (-want +got):\n%s", c.reason, ok, diff)
		}
	}
}

func TestEdit_Impossible(t *testing.T) {
	for _, c := range []struct{ reason, from, to string }{
		{"nothing would remain", "a: 1\n", "b: 1"},
		{"a field that a merge brings goes", "a: &x {v: 1, z: 1}\nb:\n  <<: *x\n  w: 1\n",
			"{a: {v: 1, z: 1}, b: {z: 1, w: 1}}"},
		{"a field that a merge brings changes, and strict readers refuse a second one",
			"a: &x {v: 1}\nb:\n  <<: *x\n  w: 1\n", "{a: {v: 1}, b: {v: 2, w: 1}}"},
		{"escapes that YAML does not have", `{"a": "\/", "b": 1}`, `{"a": "/", "b": 2}`},
	} {
		if got, ok := change(t, c.from, c.to); ok {
			t.Errorf("%s: edited to:\n%s", c.reason, got)
		}
	}
}
