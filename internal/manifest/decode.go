package manifest

import (
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// read are the fields that this package reads. A misspelt one would change the result.
var read = []string{
	"metadata", "name", "namespace", "labels", "ownerReferences", "spec", "selector", "matchLabels", "matchExpressions",
	"template", "jobTemplate", "containers", "initContainers", "hostNetwork", "ports", "port", "targetPort",
	"containerPort", "nodePort", "hostPort", "protocol", "type", "externalName", "clusterIP", "subsets", "addresses",
	"notReadyAddresses",
	"endpoints", "addressType",
}

// addKnown reads an object of a known kind.
func (s *Set) addKnown(o *object) error {
	if err := o.readMetadata(); err != nil {
		return err
	}
	if o.isNamedByServer() {
		return s.addNamedByServer(o)
	}
	switch o.kind {
	case "Rollout", "CloneSet", "DeploymentConfig":
		return s.addOperated(o)
	case "Service":
		read, err := o.readService()
		if err != nil {
			return err
		}
		return addOnce(&s.services, read, o)
	case "Namespace":
		return addOnce(&s.namespaces, &namespace{o.identity(), o.origin, o.meta.Labels}, o)
	case "Endpoints", "EndpointSlice":
		read, err := o.readBackings()
		if err != nil {
			return err
		}
		s.backings = append(s.backings, read...)
		return nil
	}
	read, err := o.readWorkload()
	if err != nil {
		return err
	}
	return addOnce(&s.workloads, read, o)
}

// entry is a *workload, a *service or a *namespace.
type entry interface {
	comparable
	id() identity
	at() *origin
}

func (i identity) id() identity { return i }
func (o *origin) at() *origin   { return o }

// addOnce adds an entry unless the set already has it. Two versions of one object are an error, because the files do
// not say which one a cluster gets.
func addOnce[E entry](to *[]E, read E, o *object) error {
	for _, other := range *to {
		if other.id() != read.id() {
			continue
		}
		first, now := *other.at(), *read.at()
		*read.at() = first
		same := reflect.DeepEqual(other, read)
		*read.at() = now
		if same {
			return nil
		}
		return o.invalid("metadata.name", fmt.Sprintf("a different %s is in %s:%d", read.id(), first.file,
			first.line),
			"remove one of them, or give patterns that match one")
	}
	*to = append(*to, read)
	return nil
}

func (o *object) identity() identity { return identity{o.kind, o.meta.Name, o.meta.Namespace} }

func (o *object) readMetadata() error {
	var partial metav1.PartialObjectMetadata
	_, fault := kubeyaml.Decode(map[string]any{"metadata": o.tree["metadata"]}, &partial)
	if fault != nil {
		return o.faulty(fault)
	}
	o.meta = partial.ObjectMeta
	if o.meta.Name == "" && o.meta.GenerateName != "" {
		return o.readGenerateName()
	}
	if o.meta.Name == "" {
		return o.invalid("metadata.name", "missing", "give the "+o.kind+" a name")
	}
	if err := o.checkText("metadata.name", o.meta.Name, utilvalidation.IsDNS1123Subdomain); err != nil {
		return err
	}
	if o.meta.Namespace != "" {
		if err := o.checkText("metadata.namespace", o.meta.Namespace, utilvalidation.IsDNS1123Label); err != nil {
			return err
		}
	}
	return o.checkLabels("metadata.labels", o.meta.Labels)
}

// decode reads the object into its type.
func (o *object) decode(into any) error {
	unknown, fault := kubeyaml.Decode(o.tree, into)
	if fault != nil {
		return o.faulty(fault)
	}
	for _, field := range unknown {
		last := field[strings.LastIndexByte(field, '.')+1:]
		if known := misspelt(last); known != "" && !strings.HasSuffix(last, "]") {
			return o.invalid(field, "unknown field", fmt.Sprintf("did you mean %q?", known))
		}
	}
	return nil
}

// misspelt returns the known field that a name resembles, or "".
func misspelt(name string) string {
	for _, field := range read {
		distance := editDistance(strings.ToLower(name), strings.ToLower(field))
		if distance == 0 || distance == 1 && len(field) >= 5 || distance == 2 && len(field) >= 8 {
			return field
		}
	}
	return ""
}

// faulty converts a fault of the object into an error.
func (o *object) faulty(f *kubeyaml.Fault) *InvalidError {
	placed := *f
	placed.Field = join(o.path, f.Field)
	placed.Line = o.lines.OfFault(&placed)
	if placed.Line == 0 {
		placed.Line = o.invalid(f.Field, "", "").Line
	}
	return faulty(o.origin, "", &placed)
}

// hasPlaceholder reports whether helm, envsubst or a similar tool has to complete a name.
func hasPlaceholder(text string) bool {
	for _, mark := range []string{"{{", "${", "$("} {
		if strings.Contains(text, mark) {
			return true
		}
	}
	return false
}

func (o *object) placeholder(field, text string) *InvalidError {
	f := placeholderFault(text)
	return o.invalid(field, f.Problem, f.Advice)
}

// checkText validates a value like the API server.
func (o *object) checkText(field, text string, check func(string) []string) error {
	if hasPlaceholder(text) {
		return o.placeholder(field, text)
	}
	if messages := check(text); len(messages) > 0 {
		return o.invalid(field, fmt.Sprintf("%q: %s", text, messages[0]), "correct it")
	}
	return nil
}
