package manifest

import (
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
)

// generated ends the name of an object to which the API server gives one: no object can be called so.
const generated = "*"

func hasGeneratedName(name string) bool { return strings.HasSuffix(name, generated) }

// isNamedByServer reports whether the object has a generateName in the place of a name, as Jobs and Helm's test pods
// do.
func (o *object) isNamedByServer() bool { return hasGeneratedName(o.meta.Name) }

// readGenerateName makes the generateName the object's name, as "migrate-*". The API server takes a hyphen at its end.
func (o *object) readGenerateName() error {
	const field = "metadata.generateName"
	if hasPlaceholder(o.meta.GenerateName) {
		return o.placeholder(field, o.meta.GenerateName)
	}
	if err := o.checkText(field, o.meta.GenerateName+"x", utilvalidation.IsDNS1123Subdomain); err != nil {
		return err
	}
	o.meta.Name = o.meta.GenerateName + generated
	if o.meta.Namespace != "" {
		if err := o.checkText("metadata.namespace", o.meta.Namespace, utilvalidation.IsDNS1123Label); err != nil {
			return err
		}
	}
	return o.checkLabels("metadata.labels", o.meta.Labels)
}

// addNamedByServer takes in an object that nobody can find by its name. The labels of its pods count all the same: the
// selector of another workload must not pick them. There may be several of one generateName.
func (s *Set) addNamedByServer(o *object) error {
	switch o.kind {
	case "Service", "Namespace", "Endpoints", "EndpointSlice":
		return nil // to which nothing refers but by the name
	}
	read, err := o.readWorkload()
	if err != nil {
		return err
	}
	s.workloads = append(s.workloads, read)
	return nil
}
