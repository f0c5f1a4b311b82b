package golden

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

const recordAnew = "correct it, or delete the file and record it anew with -update"

// decode reads one document with content: a policy, or a list of policies. Its errors have no path and no document.
func decode(d document) (document, *InvalidError) {
	tree, fault := d.Tree()
	if fault != nil {
		return d, faulty(fault)
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return d, notAnObject()
	}
	if of, isList := listOf(object); isList {
		d.list = object
		var invalid *InvalidError
		d.policies, invalid = decodeItems(object, of)
		return d, invalid
	}
	policy, invalid := decodePolicy(object)
	if invalid == nil {
		d.policies = []metav1.Object{policy}
	}
	return d, invalid
}

func notAnObject() *InvalidError {
	return &InvalidError{Problem: "not an object with apiVersion and kind", Advice: recordAnew}
}

// decodePolicy reads one object.
func decodePolicy(object map[string]any) (metav1.Object, *InvalidError) {
	var of *dialect
	for _, d := range dialects {
		if object["apiVersion"] == d.apiVersion && object["kind"] == d.kind {
			of = d
		}
	}
	if of == nil {
		return nil, &InvalidError{Field: "kind", Problem: fmt.Sprintf("%s %s, but only %s %s and %s %s are read",
			word(object["apiVersion"], "apiVersion"), word(object["kind"], "kind"), apiVersion, kind, ciliums.apiVersion,
			ciliums.kind),
			Advice: "move other objects to files of their own"}
	}
	object = withoutStatus(object)
	if invalid := checkSpec(of, object["spec"], "spec"); invalid != nil {
		return nil, invalid
	}
	if of == ciliums {
		if invalid := checkSpecs(object); invalid != nil {
			return nil, invalid
		}
	}
	policy, invalid := fromObject(of, object)
	if invalid != nil {
		return nil, invalid
	}
	if policy.GetName() == "" {
		return nil, &InvalidError{Field: "metadata.name", Problem: "missing", Advice: "give the policy a name"}
	}
	if err := of.validate(policy); err != nil {
		return nil, validationError(err)
	}
	return policy, nil
}

// checkSpec finds fields of a spec that are empty by accident.
func checkSpec(of *dialect, spec any, at string) *InvalidError {
	if empty := emptyValue(spec, at); empty != "" {
		// Kubernetes would read an empty list here, and so "everywhere" or "every port".
		return &InvalidError{Field: empty, Problem: "has no value", Advice: "give it one, or remove it"}
	}
	if of != ciliums {
		return nil
	}
	if empty := emptyList(spec, at); empty != "" {
		// To Cilium a list that is empty selects nothing in some places, and everything in others.
		return &InvalidError{Field: empty, Problem: "is an empty list",
			Advice: "remove it; [{}] in its place denies everything in that direction"}
	}
	if empty := emptyWord(spec, at); empty != "" {
		return &InvalidError{Field: empty, Problem: "is empty", Advice: "give it a value, or remove it"}
	}
	if fields, ok := spec.(map[string]any); ok && fields["endpointSelector"] == nil {
		// Cilium takes no policy without it; read as an empty one, it would be for all pods.
		return &InvalidError{Field: at + ".endpointSelector", Problem: "missing",
			Advice: "say for which pods the policy is; {} are all of its namespace"}
	}
	return nil
}

// checkSpecs applies checkSpec to the specs of a CiliumNetworkPolicy: spec, specs, or both.
func checkSpecs(object map[string]any) *InvalidError {
	if object["specs"] == nil {
		return nil
	}
	specs, _ := object["specs"].([]any) // of another type it is refused by its decoder
	if empty := emptyList(object["specs"], "specs"); empty == "specs" {
		return &InvalidError{Field: empty, Problem: "is an empty list", Advice: "remove it"}
	}
	for i, spec := range specs {
		at := "specs[" + strconv.Itoa(i) + "]"
		if spec == nil {
			return &InvalidError{Field: at, Problem: "has no value", Advice: "give it one, or remove it"}
		}
		if invalid := checkSpec(ciliums, spec, at); invalid != nil {
			return invalid
		}
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
		invalid.Problem += fmt.Sprintf(" (the first of %d faults)", n)
	}
	return invalid
}

// faulty turns a fault of the text into an error that lacks path and document.
func faulty(f *kubeyaml.Fault) *InvalidError {
	e := &InvalidError{Line: f.Line, Field: f.Field, Problem: f.Problem, Advice: f.Advice}
	switch e.Advice {
	case "":
		e.Advice = recordAnew
	case kubeyaml.ResolveConflict:
		e.Advice += ", or take one side and run the test with -update"
	}
	return e
}

// fromObject is strict as the API server is under `kubectl apply --validate=strict`.
func fromObject(of *dialect, object map[string]any) (metav1.Object, *InvalidError) {
	policy, unknown, fault := of.decode(object)
	if fault != nil {
		return nil, faulty(fault)
	}
	if len(unknown) > 0 {
		invalid := &InvalidError{Field: unknown[0], Problem: "unknown field", Advice: "correct or remove it"}
		if of == ciliums { // the API server may know the field
			invalid.Problem, invalid.Advice = "a field of which no verdict is known here", "correct it, or move the rule to a file that tests do not read"
		}
		return nil, invalid
	}
	return policy, nil
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

// emptyList returns the first field of a spec that is an empty list.
func emptyList(v any, at string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if found := emptyList(v[key], at+"."+key); found != "" {
				return found
			}
		}
	case []any:
		if len(v) == 0 {
			return at
		}
		for i, element := range v {
			if found := emptyList(element, at+"["+strconv.Itoa(i)+"]"); found != "" {
				return found
			}
		}
	}
	return ""
}

// emptyWord returns the first field of a spec that is an empty string although only a few words are valid. An API
// server rejects it; its Go type would treat it as missing.
func emptyWord(v any, at string) string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below := at + "." + key
			if (key == "protocol" || key == "family") && v[key] == "" {
				return below
			}
			if found := emptyWord(v[key], below); found != "" {
				return found
			}
		}
	case []any:
		for i, element := range v {
			if found := emptyWord(element, at+"["+strconv.Itoa(i)+"]"); found != "" {
				return found
			}
		}
	}
	return ""
}

// word returns a value for a message, or reports that it is missing.
func word(v any, what string) string {
	if s, ok := v.(string); ok && s != "" {
		return s
	}
	return "(no " + what + ")"
}
