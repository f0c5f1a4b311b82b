package golden

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	networkingv1 "k8s.io/api/networking/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	npolicy "github.com/netzero-dev/netzero/internal/policy"
)

const (
	apiVersion = "networking.k8s.io/v1"
	kind       = "NetworkPolicy"
)

const recordAnew = "correct it, or delete the file and record it anew with -update"

// decode reads one document with content. What it returns as an error lacks path and document.
func decode(d document) (*networkingv1.NetworkPolicy, *InvalidError) {
	tree, invalid := readYAML(d)
	if invalid != nil {
		return nil, invalid
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return nil, &InvalidError{Problem: "not an object with apiVersion and kind", Advice: recordAnew}
	}
	if object["apiVersion"] != apiVersion || object["kind"] != kind {
		return nil, &InvalidError{Field: "kind", Problem: fmt.Sprintf("%s %s, but only %s %s is read",
			word(object["apiVersion"], "apiVersion"), word(object["kind"], "kind"), apiVersion, kind),
			Advice: "move other objects to files of their own"}
	}
	if empty := emptyValue(object["spec"], "spec"); empty != "" {
		// Kubernetes would read an empty list here, and so "everywhere" or "every port".
		return nil, &InvalidError{Field: empty, Problem: "has no value", Advice: "give it one, or remove it"}
	}
	policy, invalid := fromObject(object)
	if invalid != nil {
		return nil, invalid
	}
	if policy.Name == "" {
		return nil, &InvalidError{Field: "metadata.name", Problem: "missing", Advice: "give the policy a name"}
	}
	if err := npolicy.Validate(policy); err != nil {
		return nil, validationError(err)
	}
	return policy, nil
}

// validationError takes the field out of an error of package policy, which may hold several.
func validationError(err error) *InvalidError {
	invalid := &InvalidError{Problem: err.Error(), Advice: "correct it"}
	var all utilerrors.Aggregate
	if !errors.As(err, &all) || len(all.Errors()) == 0 {
		return invalid
	}
	var first *field.Error
	if errors.As(all.Errors()[0], &first) {
		invalid.Field, invalid.Problem = first.Field, first.ErrorBody()
	}
	if n := len(all.Errors()); n > 1 {
		invalid.Problem += fmt.Sprintf(" (the first of %d faults)", n)
	}
	return invalid
}

// readYAML returns the document as JSON has it, so that values have the types that Kubernetes gives them.
func readYAML(d document) (any, *InvalidError) {
	decoder := yamlv2.NewDecoder(strings.NewReader(d.body))
	decoder.SetStrict(true)
	var ignored any
	err := decoder.Decode(&ignored)
	if err == nil {
		if decoder.Decode(&ignored) != io.EOF {
			return nil, &InvalidError{Problem: "more text after the end of the object", Advice: `separate documents with a line "---"`}
		}
		var text []byte
		if text, err = yaml.YAMLToJSONStrict([]byte(d.body)); err == nil {
			var tree any
			if err := json.UnmarshalCaseSensitivePreserveInts(text, &tree); err != nil {
				return nil, &InvalidError{Problem: err.Error(), Advice: recordAnew}
			}
			return tree, nil
		}
	}
	return nil, yamlError(err, d.line)
}

var (
	yamlLine     = regexp.MustCompile(`^(?:yaml: )?line ([0-9]+): `)
	duplicateKey = regexp.MustCompile(`^key "?(.*?)"? already set in map$`)
)

// yamlError takes the line out of a YAML error, and translates the only complaint of strict decoding: a duplicate key.
func yamlError(err error, firstLine int) *InvalidError {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var typeError *yamlv2.TypeError
	if errors.As(err, &typeError) && len(typeError.Errors) > 0 {
		text = typeError.Errors[0]
	}
	invalid := &InvalidError{Advice: recordAnew}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		n, _ := strconv.Atoi(m[1])
		if strings.HasPrefix(text, "did not find expected") {
			n++ // the parser, unlike the scanner, counts from 0
		}
		invalid.Line = firstLine + n - 1
	}
	invalid.Problem = "not YAML: " + text
	if m := duplicateKey.FindStringSubmatch(text); m != nil {
		invalid.Field, invalid.Problem, invalid.Advice = m[1], "given twice", "remove one of them"
	}
	return invalid
}

// fromObject is strict as the API server is under `kubectl apply --validate=strict`.
func fromObject(object map[string]any) (*networkingv1.NetworkPolicy, *InvalidError) {
	text, err := gojson.Marshal(object)
	if err != nil {
		return nil, &InvalidError{Problem: err.Error(), Advice: recordAnew}
	}
	policy := new(networkingv1.NetworkPolicy)
	strict, err := json.UnmarshalStrict(text, policy)
	var wrongType *gojson.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		return nil, &InvalidError{Field: wrongType.Field, Advice: "correct it",
			Problem: fmt.Sprintf("holds %s where %s belongs", jsonWord(wrongType.Value), typeWord(wrongType.Type))}
	case err != nil:
		return nil, &InvalidError{Problem: err.Error(), Advice: recordAnew}
	case len(strict) > 0:
		invalid := &InvalidError{Problem: strict[0].Error(), Advice: "correct or remove it"}
		var inField json.FieldError
		if errors.As(strict[0], &inField) {
			invalid.Field, invalid.Problem = inField.FieldPath(), "unknown field"
		}
		if invalid.Field == "status" {
			invalid.Advice = "it comes from a cluster: remove it"
		}
		return nil, invalid
	}
	return policy, nil
}

// emptyValue returns the first field below a spec's own fields that has no value, as in "to:" with nothing behind it.
func emptyValue(v any, at string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			below := at + "." + key
			if v[key] == nil && at != "spec" {
				return below
			}
			if found := emptyValue(v[key], below); found != "" {
				return found
			}
		}
	case []any:
		for i, element := range v {
			below := at + "[" + strconv.Itoa(i) + "]"
			if element == nil {
				return below
			}
			if found := emptyValue(element, below); found != "" {
				return found
			}
		}
	}
	return ""
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// word returns a value for a message, or says that it is missing.
func word(v any, what string) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	return "(no " + what + ")"
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
