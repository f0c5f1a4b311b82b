package kubeyaml

import (
	"bytes"
	gojson "encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Tree returns the document with JSON's types, as Kubernetes reads it.
func (d Document) Tree() (any, *Fault) {
	body := d.text()
	decoder := yamlv2.NewDecoder(bytes.NewReader(body))
	decoder.SetStrict(true)
	var ignored any
	err := decoder.Decode(&ignored)
	if err == nil {
		if decoder.Decode(&ignored) != io.EOF {
			return nil, &Fault{Problem: "more text after the end of the object",
				Advice: `separate documents with a line "---"`}
		}
		var text []byte
		if text, err = yaml.YAMLToJSONStrict(body); err == nil {
			var tree any
			if err := json.UnmarshalCaseSensitivePreserveInts(text, &tree); err != nil {
				return nil, &Fault{Problem: err.Error()}
			}
			return tree, nil
		}
	}
	return nil, yamlFault(err, d.Line)
}

var (
	yamlLine     = regexp.MustCompile(`^(?:yaml: )?line ([0-9]+): `)
	duplicateKey = regexp.MustCompile(`^key "?(.*?)"? already set in map$`)
)

// yamlFault takes the line out of a YAML error, and translates the only error of strict decoding: a duplicate key.
func yamlFault(err error, firstLine int) *Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var typeError *yamlv2.TypeError
	if errors.As(err, &typeError) && len(typeError.Errors) > 0 {
		text = typeError.Errors[0]
	}
	fault := new(Fault)
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		n, _ := strconv.Atoi(m[1])
		if strings.HasPrefix(text, "did not find expected") {
			n++ // the parser, unlike the scanner, counts from 0
		}
		fault.Line = firstLine + n - 1
	}
	if strings.HasPrefix(text, "invalid map key") || strings.HasPrefix(text, "unsupported map key") {
		text = "a key that is not a string" // the parser's text shows Go types
	}
	fault.Problem = "not YAML: " + text
	if m := duplicateKey.FindStringSubmatch(text); m != nil {
		fault.Field, fault.Problem, fault.Advice = m[1], "given twice", "remove one of them"
	}
	return fault
}

// embedded matches Go types in a field's path, which YAML does not have: "VolumeSource." in
// "spec.volumes.VolumeSource.image".
var embedded = regexp.MustCompile(`(^|\.)(?:[A-Z]\w*\.)+`)

// Decode reads an object of a tree into a Kubernetes type. Fields that the type does not have are not a fault: they are
// returned as paths, such as "spec.egress[0].too", for the caller to decide.
func Decode(object, into any) (unknown []string, fault *Fault) {
	text, err := gojson.Marshal(object)
	if err != nil {
		return nil, &Fault{Problem: err.Error()}
	}
	strict, err := json.UnmarshalStrict(text, into)
	var wrongType *gojson.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		field := embedded.ReplaceAllString(wrongType.Field, "$1")
		return nil, &Fault{Field: field, Advice: "correct it", value: wrongType.Value,
			Problem: fmt.Sprintf("is %s, want %s", jsonWord(wrongType.Value), typeWord(wrongType.Type))}
	case err != nil:
		return nil, &Fault{Problem: err.Error()}
	}
	for _, err := range strict {
		var inField json.FieldError
		if !errors.As(err, &inField) {
			return nil, &Fault{Problem: err.Error(), Advice: "correct or remove it"}
		}
		unknown = append(unknown, inField.FieldPath())
	}
	return unknown, nil
}

// TreeOf returns an object as [Document.Tree] would return it from a file.
func TreeOf(object any) (tree any, err error) {
	text, err := gojson.Marshal(object)
	if err != nil {
		return nil, err
	}
	err = json.UnmarshalCaseSensitivePreserveInts(text, &tree)
	return tree, err
}

func jsonWord(value string) string {
	switch first, rest, _ := strings.Cut(value, " "); first {
	case "object":
		return "a mapping"
	case "array":
		return "a list"
	case "bool":
		return "true or false"
	case "number":
		if rest == "" {
			return "a number"
		}
		return "the number " + rest
	default:
		return "a " + first
	}
}

func typeWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "a mapping"
	case reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Bool:
		return "true or false"
	}
	return "a string (write it in quotes)"
}
