package golden

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

const recordAnew = "correct it, or delete the file and record it anew with -update"

// decode reads one document with content: a policy, or a list of policies. Its errors have no path and no document.
func decode(d document) (document, *InvalidError) {
	tree, fault := d.Tree()
	if fault != nil {
		return d, invalidText(fault)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return d, notAnObject()
	}
	if dialect, isList := listOf(object); isList {
		d.list = object
		var invalid *InvalidError
		d.policies, invalid = decodeItems(object, dialect)
		return d, invalid
	}
	policy, invalid := decodePolicy(object)
	if invalid == nil {
		d.policies = []Policy{policy}
	}
	return d, invalid
}

func notAnObject() *InvalidError {
	return &InvalidError{Problem: "not an object with apiVersion and kind", Advice: recordAnew}
}

// decodePolicy reads one object.
func decodePolicy(object map[string]any) (Policy, *InvalidError) {
	var supported []string
	for _, d := range implementations {
		if object["apiVersion"] == d.apiVersion() && object["kind"] == string(d.dialect()) {
			return d.decode(withoutStatus(object))
		}
		supported = append(supported, d.apiVersion()+" "+string(d.dialect()))
	}
	return nil, &InvalidError{Field: "kind", Problem: fmt.Sprintf("%s %s, but only %s are read",
		stringOr(object["apiVersion"], "(no apiVersion)"), stringOr(object["kind"], "(no kind)"),
		strings.Join(supported, " and ")),
		Advice: "move other objects to files of their own"}
}

// checkValues finds fields of a spec without a value.
func checkValues(spec any, at string) *InvalidError {
	if empty := emptyValue(spec, at); empty != "" {
		// Kubernetes would read an empty list here, and so "everywhere" or "every port".
		return &InvalidError{Field: empty, Problem: "has no value", Advice: "give it one, or remove it"}
	}
	return nil
}

// validationError extracts the field from an error of package policy, which may hold several.
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
		invalid.Problem += fmt.Sprintf(" (the first of %d errors)", n)
	}
	return invalid
}

// invalidText turns a fault of the text into an error that lacks path and document.
func invalidText(f *kubeyaml.Fault) *InvalidError {
	e := &InvalidError{Line: f.Line, Field: f.Field, Problem: f.Problem, Advice: f.Advice}
	switch e.Advice {
	case "":
		e.Advice = recordAnew
	case kubeyaml.ResolveConflict:
		e.Advice += ", or take one side and run the test with -update"
	}
	return e
}

// isSpec reports whether a path is that of a spec itself.
func isSpec(at string) bool {
	return at == "spec" || strings.HasPrefix(at, "specs[") && !strings.Contains(at, ".") && strings.Count(at, "[") == 1
}

// emptyValue returns the first field below a spec's own fields that has no value, as in "to:" with nothing behind it.
func emptyValue(v any, at string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below := at + "." + key
			if v[key] == nil && !isSpec(at) {
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

// stringOr returns a value that is a string with content, or otherwise the text for a missing one.
func stringOr(v any, missing string) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	return missing
}
