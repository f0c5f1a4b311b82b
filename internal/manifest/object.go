package manifest

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// kinds are the known kinds, with the version that clusters accept. Older versions had other defaults and are rejected.
var kinds = map[string]struct {
	version string
	old     []string
}{
	"Deployment":            {"apps/v1", []string{"apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"}},
	"StatefulSet":           {"apps/v1", []string{"apps/v1beta1", "apps/v1beta2"}},
	"DaemonSet":             {"apps/v1", []string{"apps/v1beta2", "extensions/v1beta1"}},
	"ReplicaSet":            {"apps/v1", []string{"apps/v1beta2", "extensions/v1beta1"}},
	"ReplicationController": {"v1", nil},
	"Job":                   {"batch/v1", nil},
	"CronJob":               {"batch/v1", []string{"batch/v1beta1", "batch/v2alpha1"}},
	"Pod":                   {"v1", nil},
	"Rollout":               {"argoproj.io/v1alpha1", nil},
	"CloneSet":              {"apps.kruise.io/v1alpha1", nil},
	"DeploymentConfig":      {"apps.openshift.io/v1", nil},
	"Service":               {"v1", nil},
	"Endpoints":             {"v1", nil},
	"EndpointSlice":         {"discovery.k8s.io/v1", []string{"discovery.k8s.io/v1beta1"}},
	"Namespace":             {"v1", nil},
}

// object is one manifest of any kind.
type object struct {
	origin
	kind, apiVersion string
	meta             metav1.ObjectMeta
	tree             map[string]any
	lines            kubeyaml.Lines
	path             string // of the object within its document: "items[2]" in a list
}

// invalid returns an error about a field, with the line of the field or of its parent.
func (o *object) invalid(field, problem, advice string) *InvalidError {
	full := join(o.path, field)
	e := &InvalidError{File: o.file, Document: o.document, Field: full, Problem: problem, Advice: advice}
	for above := full; e.Line == 0; above = parent(above) {
		if e.Line = o.lines.Of(above); above == "" {
			break
		}
	}
	e.Line = max(e.Line, o.line)
	return e
}

// parent cuts the last step off a field's path. Keys in brackets may contain dots.
func parent(field string) string {
	if i := strings.LastIndexByte(field, '['); i >= 0 && strings.HasSuffix(field, "]") {
		return field[:i]
	}
	return field[:max(0, strings.LastIndexByte(field, '.'))]
}

func (s *Set) addDocument(at origin, d kubeyaml.Document) error {
	comments, _ := kubeyaml.LeadingComments(d.Body)
	at.line = d.Line + strings.Count(comments, "\n") // the first line with content
	tree, fault := d.Tree()
	if fault != nil {
		if e := templated(at, d); e != nil {
			return e
		}
		last := d.Line + strings.Count(strings.TrimRight(d.Body, "\n"), "\n")
		fault.Line = min(fault.Line, last) // YAML may report a missing part on the line after it
		return faulty(at, "", fault)
	}
	o := &object{origin: at, lines: d.Lines()}
	var ok bool
	if o.tree, ok = tree.(map[string]any); !ok {
		if e := templated(at, d); e != nil {
			return e
		}
		return o.invalid("", "not an object with apiVersion and kind", "give patterns that match manifests only")
	}
	return s.addObject(o)
}

// templated returns an error if a document is a template of a manifest, or nil.
func templated(at origin, d kubeyaml.Document) *InvalidError {
	n := d.Line - 1
	for line := range strings.Lines(d.Body) {
		n++
		code, _, _ := strings.Cut(" "+line, " #")
		if i := strings.Index(code, "{{"); i >= 0 {
			at.line = n
			return faulty(at, "", placeholderFault(strings.TrimSpace(code[i:])))
		}
	}
	return nil
}

func placeholderFault(text string) *kubeyaml.Fault {
	return &kubeyaml.Fault{Problem: fmt.Sprintf("template text %q", text),
		Advice: `render it first, as "helm template" does, and give the result`}
}

// addObject reads an object, or skips an unknown kind.
func (s *Set) addObject(o *object) error {
	if line := o.lines.Of(o.path); line > 0 {
		o.line = line
	}
	var named bool
	if o.kind, named = o.tree["kind"].(string); !named || o.kind == "" {
		if isKustomization(o.file) {
			return o.checkKustomization()
		}
		return o.invalid("kind", "missing", "give it one, or give patterns that match manifests only")
	}
	if o.apiVersion, named = o.tree["apiVersion"].(string); !named || o.apiVersion == "" {
		return o.invalid("apiVersion", "missing", "give it one, or give patterns that match manifests only")
	}
	for _, field := range []string{"kind", "apiVersion"} {
		if text, _ := o.tree[field].(string); hasPlaceholder(text) {
			return o.placeholder(field, text)
		}
	}
	group, _, _ := strings.Cut(o.apiVersion, "/")
	if group == "kustomize.config.k8s.io" && o.kind == "Kustomization" {
		return o.checkKustomization()
	}
	if o.kind == "List" && o.apiVersion == "v1" {
		return s.addList(o, "", "")
	}
	known, ours := kinds[o.kind]
	if of, isList := strings.CutSuffix(o.kind, "List"); isList && o.apiVersion == kinds[of].version {
		return s.addList(o, of, o.apiVersion)
	}
	switch {
	case !ours:
		return nil
	case slices.Contains(known.old, o.apiVersion):
		return o.invalid("apiVersion", fmt.Sprintf("%s %s, which clusters no longer accept", o.apiVersion, o.kind),
			"write "+known.version)
	case o.apiVersion != known.version:
		return nil // another group's, such as serving.knative.dev/v1 Service
	}
	return s.addKnown(o)
}

// maxDepth is the maximum nesting of lists.
const maxDepth = 16

// addList reads a list's items. Those of a typed list, such as DeploymentList, have no kind.
func (s *Set) addList(list *object, kind, apiVersion string) error {
	items, ok := list.tree["items"].([]any)
	if !ok && list.tree["items"] != nil {
		return list.invalid("items", "not a list", "correct it")
	}
	if strings.Count(list.path, "[") >= maxDepth {
		return list.invalid("items", "too many lists in lists", "take the objects out of them")
	}
	for i, item := range items {
		o := &object{origin: list.origin, lines: list.lines, path: join(list.path, "items["+strconv.Itoa(i)+"]")}
		tree, ok := item.(map[string]any)
		if !ok {
			return o.invalid("", "not an object with apiVersion and kind", "correct it")
		}
		o.tree = make(map[string]any, len(tree)+2)
		if kind != "" {
			o.tree["kind"], o.tree["apiVersion"] = kind, apiVersion
		}
		for key, value := range tree {
			o.tree[key] = value
		}
		if err := s.addObject(o); err != nil {
			return err
		}
	}
	return nil
}

func isKustomization(file string) bool {
	return slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, path.Base(file))
}

// checkKustomization rejects a kustomization that changes the content of the other files.
func (o *object) checkKustomization() error {
	for _, field := range []string{
		"namespace", "namePrefix", "nameSuffix", "commonLabels", "labels", "patches", "patchesStrategicMerge",
		"patchesJson6902", "components", "transformers", "replacements", "vars", "helmCharts",
		"helmChartInflationGenerator",
	} {
		if value := o.tree[field]; value != nil && value != "" {
			return o.invalid(field, "a kustomization that changes the manifests",
				`render it first, as "kubectl kustomize" does, and give the result instead`)
		}
	}
	return nil
}
