package kubeyaml

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjects_Split(t *testing.T) {
	for _, c := range []struct {
		reason, body string
		want         []Document
	}{
		{"JSON lines", "{\"a\": 1}\n{\"a\": 2}\n",
			[]Document{{Body: `{"a": 1}`, Line: 5}, {Body: `{"a": 2}`, Line: 6}}},
		{"a comment and a blank line before, which kubectl does not mind", "# x\n\n{\"a\": 1}\n\n{\"a\": 2}",
			[]Document{{Body: `{"a": 1}`, Line: 7}, {Body: `{"a": 2}`, Line: 9}}},
		{"written for people", "{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n",
			[]Document{{Body: "{\n \"a\": 1\n}", Line: 5}, {Body: "{\n \"a\": 2\n}", Line: 8}}},
		{"nothing between", `{"a": "}"}{"a": 2}`,
			[]Document{{Body: `{"a": "}"}`, Line: 5}, {Body: `{"a": 2}`, Line: 5}}},
		{"one object", "{\"a\": 1}\n", nil},
		{"YAML that begins like JSON", "{a: 1}\n", nil},
		{"two objects of YAML", "{a: 1}\n{a: 2}\n", nil},
		{"JSON and then something else", "{\"a\": 1}\nb\n", nil},
		{"YAML", "a: 1\n", nil},
		{"values that are no objects", "{\"a\": 1}\n2\n", nil},
		{"comments only", "# x\n", nil},
	} {
		d := Document{Body: c.body, Line: 5}
		if c.want == nil {
			c.want = []Document{d}
		}
		if diff := cmp.Diff(c.want, d.Objects()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}
