package manifest

import (
	"strings"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
)

// generated ends the name of an object that the API server names. No real name ends with it.
const generated = "*"

func hasGeneratedName(name string) bool { return strings.HasSuffix(name, generated) }

// isNamedByServer reports whether the object has a generateName instead of a name, like Jobs and Helm's test pods.
func (o *object) isNamedByServer() bool { return hasGeneratedName(o.meta.Name) }

// readGenerateName makes the generateName the object's name, as "migrate-*". The API server accepts a trailing hyphen.
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

// addNamedByServer adds an object that no name finds. Its pods' labels count all the same, because the selector of
// another workload must not match them. Several objects may share one generateName.
func (s *Set) addNamedByServer(o *object) error {
	switch o.kind {
	case "Service", "Namespace", "Endpoints", "EndpointSlice":
		return nil // referred to only by name
	}
	read, err := o.readWorkload()
	if err != nil {
		return err
	}
	s.workloads = append(s.workloads, read)
	return nil
}
