package recording

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// schema is a part of docs/recording.schema.json.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Enum       []string          `json:"enum"`
	Const      int               `json:"const"`
	Required   []string          `json:"required"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Additional any               `json:"additionalProperties"`
	Defs       map[string]schema `json:"$defs"`
}

// The schema has the fields of the types and no others, and requires those that are always written.
func TestSchema_IsThatOfTheTypes(t *testing.T) {
	text, err := os.ReadFile("../../docs/recording.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	c := schemaChecker{t, root.Defs, make(map[string]reflect.Type)}
	c.check("file", root, reflect.TypeFor[File]())
	if diff := cmp.Diff(sortedKeys(root.Defs), sortedKeys(c.used)); diff != "" {
		t.Errorf("$defs (-schema +types)\n%s", diff)
	}
	if got := root.Properties["version"].Const; got != Version {
		t.Errorf("the schema is that of version %d, want %d", got, Version)
	}
	endpoint := root.Defs["endpoint"].Properties
	checkWords(t, "kind", endpoint["kind"], slices.Collect(maps.Values(kinds)))
	words := slices.Collect(maps.Values(evidences))
	checkWords(t, "evidence", endpoint["evidence"],
		slices.DeleteFunc(words, func(e Evidence) bool { return e == NoEvidence })) // it is absent
	checkWords(t, "request protocol", root.Defs["request"].Properties["protocol"],
		slices.Collect(maps.Values(requestProtocols)))
	checkWords(t, "outcome", root.Defs["verdict"].Properties["outcome"], outcomes)
}

type schemaChecker struct {
	*testing.T
	defs map[string]schema
	used map[string]reflect.Type // the types of $defs
}

// check compares a part of the schema with a type.
func (c schemaChecker) check(path string, s schema, of reflect.Type) {
	if of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	if name, is := strings.CutPrefix(s.Ref, "#/$defs/"); is {
		if c.used[name] == of {
			return
		}
		c.used[name], s = of, c.defs[name]
	}
	want := map[reflect.Kind]string{
		reflect.Bool: "boolean", reflect.String: "string", reflect.Slice: "array",
		reflect.Map: "object", reflect.Struct: "object",
	}[of.Kind()]
	switch {
	case of == reflect.TypeFor[time.Time]():
		want = "string"
	case want == "":
		want = "integer"
	}
	if s.Type != want && len(s.Enum) == 0 && s.Const == 0 {
		c.Errorf("%s: the schema has type %q, %s is %q", path, s.Type, of, want)
	}
	switch {
	case want == "array":
		c.check(path+"[]", *s.Items, of.Elem())
	case of.Kind() == reflect.Struct && want == "object":
		c.checkObject(path, s, of)
	}
}

func (c schemaChecker) checkObject(path string, s schema, of reflect.Type) {
	if of == reflect.TypeFor[Recording]() {
		of = reflect.TypeFor[data]()
	}
	if s.Additional != false {
		c.Errorf("%s: permits other fields", path)
	}
	fields := make(map[string]reflect.Type)
	var required []string
	for i := range of.NumField() {
		f := of.Field(i)
		name, omit, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = f.Type
		if omit == "" {
			required = append(required, name)
		}
	}
	slices.Sort(required)
	if diff := cmp.Diff(sortedKeys(fields), sortedKeys(s.Properties)); diff != "" {
		c.Errorf("%s: fields (-types +schema)\n%s", path, diff)
	}
	if diff := cmp.Diff(required, slices.Sorted(slices.Values(s.Required))); diff != "" {
		c.Errorf("%s: required fields (-types +schema)\n%s", path, diff)
	}
	for name, of := range fields {
		c.check(path+"."+name, s.Properties[name], of)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// checkWords compares the words of a part of the schema with those of a type.
func checkWords[W ~string](t *testing.T, name string, s schema, words []W) {
	t.Helper()
	var want []string
	for _, w := range words {
		want = append(want, string(w))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(s.Enum))); diff != "" {
		t.Errorf("words of %s (-types +schema)\n%s", name, diff)
	}
}
