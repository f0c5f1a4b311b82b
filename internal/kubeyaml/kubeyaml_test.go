package kubeyaml

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
)

func TestSplit_KeepsEveryByte(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		want         []Document
	}{
		{"nothing", "", []Document{{Line: 1}}},
		{"one document", "a: 1\n", []Document{{Body: "a: 1\n", Line: 1}}},
		{"a separator first", "--- # x\na: 1", []Document{{Line: 1}, {"--- # x\n", "a: 1", 2}}},
		{"a separator last", "a: 1\n---", []Document{{Body: "a: 1\n", Line: 1}, {"---", "", 3}}},
		{"an end marker", "a: 1\n...\n---\nb: 2\n",
			[]Document{{Body: "a: 1\n", Line: 1}, {"...\n", "", 3}, {"---\n", "b: 2\n", 4}}},
		{"hyphens that separate nothing", "----\n---a\n ---\n", []Document{{Body: "----\n---a\n ---\n", Line: 1}}},
	} {
		got := Split(c.text)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		var b strings.Builder
		for _, d := range got {
			b.WriteString(d.Separator + d.Body)
		}
		if b.String() != c.text {
			t.Errorf("%s: put together again %q", c.reason, b.String())
		}
	}
}

func TestLines_Fields(t *testing.T) {
	const text = `# the first line
metadata: &m
  labels:
    example.com/part: a
    "quoted": b
list:
- name: x
  ports: [{port: 1}, {port: 2,
    name: y}]
-
- *m
copy:
  <<: *m
  name: z
one: [{two: 2}]
nul: ~
loop: &l [*l]
`
	lines := Split("---\n" + text)[1].Lines()
	for field, want := range map[string]int{
		"": 3, "metadata": 3, "metadata.labels[example.com/part]": 5, "metadata.labels.quoted": 6,
		"list": 7, "list[0]": 8, "list[0].ports[1].name": 10, "list.ports.name": 10, "list[1]": 11, "list[2].labels": 4,
		"copy.labels[quoted]": 6, "copy.name": 15, "one.two": 16, "nul": 17, "loop": 18,
		"list[0].ports.port": 0, // two of them
		"missing":            0, "metadata.missing": 0, "list[9]": 0, "list[x]": 0, "one.two.three": 0, "metadatas": 0,
		"loop.a": 0,
	} {
		if got := lines.Of(field); got != want {
			t.Errorf("%s is on line %d, want %d", field, got, want)
		}
	}
	if got := (Document{Body: "a: [", Line: 1}).Lines().Of("a"); got != 0 {
		t.Errorf("what is no YAML has a field on line %d", got)
	}
}

func TestLines_ManyAliases(t *testing.T) {
	text := "a0: &a0 [x]\n"
	for _, n := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		before := string(n[0] - 1)
		text += "a" + n + ": &a" + n + " [" + strings.Repeat("*a"+before+", ", 9) + "*a" + before + "]\n"
	}
	if got := (Document{Body: text, Line: 1}).Lines().Of("a9.x"); got != 0 {
		t.Errorf("found on line %d", got)
	}
}

func TestTree_Types(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		want         any
	}{
		{"types of YAML 1.1, as kubectl has them", "a: yes\nb: '1'\nc: 1\n",
			map[string]any{"a": true, "b": "1", "c": int64(1)}},
		{"escapes of JSON that YAML lacks", `{"a": "x\/y\\/z \ud83d\ude80 \ud83d! \u00e9\n\"", "b\/": "\\ud83d"}`,
			map[string]any{"a": "x/y\\/z \U0001f680 \ufffd! \u00e9\n\"", "b/": `\ud83d`}},
		{"JSON with tabs", "{\n\t\"a\": [\n\t\t1\n\t]\n}\n", map[string]any{"a": []any{int64(1)}}},
	} {
		got, fault := Document{Body: c.text, Line: 1}.Tree()
		if fault != nil {
			t.Errorf("%s: %+v", c.reason, fault)
		} else if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
}

func TestFault_Lines(t *testing.T) {
	const head = "spec:\n  containers:\n  - name: a\n    env: [{name: LEVEL, value: x}]\n  - name: b\n    env:\n    " +
		"- name: MODE\n"
	for _, c := range []struct {
		reason, text string
		want         Fault
	}{
		{"a number in the second of two lists", head + "      value: 1\n",
			Fault{8, "spec.containers.env.value", "is a number, want a string (write it in quotes)",
				"correct it", ""}},
		{"a boolean that YAML 1.2 takes for a string", head + "      value: yes\n",
			Fault{8, "spec.containers.env.value", "is true or false, want a string (write it in quotes)",
				"correct it", ""}},
		{"a list for a string", head + "      value: [x]\n",
			Fault{8, "spec.containers.env.value", "is a list, want a string (write it in quotes)",
				"correct it", ""}},
		{"a mapping for a list", "spec:\n  containers: {a: 1}\n",
			Fault{2, "spec.containers", "is a mapping, want a list", "correct it", ""}},
		{"a string for a number, in a JSON object", `{"spec": {"terminationGracePeriodSeconds": "x"}}`,
			Fault{1, "spec.terminationGracePeriodSeconds", "is a string, want an integer", "correct it",
				""}},
		{"a label's number, whose key nobody names", "metadata:\n  labels:\n    a: b\n    c: 1\n",
			Fault{4, "metadata.labels", "is a number, want a string (write it in quotes)", "correct it",
				""}},
		{"a type within a type", "spec:\n  volumes:\n  - emptyDir: x\n",
			Fault{3, "spec.volumes.emptyDir", "is a string, want a mapping", "correct it", ""}},
	} {
		d := Document{Body: c.text, Line: 1}
		tree, fault := d.Tree()
		if fault != nil {
			t.Fatalf("%s: %+v", c.reason, fault)
		}
		if _, fault = Decode(tree, new(corev1.Pod)); fault == nil {
			t.Errorf("%s: no fault", c.reason)
			continue
		}
		fault.Line = d.Lines().OfFault(fault)
		if diff := cmp.Diff(c.want, *fault, cmpopts.IgnoreUnexported(Fault{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
	}
	unknown, fault := Decode(map[string]any{
		"spec": map[string]any{"containers": []any{map[string]any{"port": 1, "x": 2}}}}, new(corev1.Pod))
	if diff := cmp.Diff([]string{"spec.containers[0].port", "spec.containers[0].x"}, unknown); diff != "" ||
		fault != nil {
		t.Errorf("unknown fields, and %+v (-want +got):\n%s", fault, diff)
	}
}
