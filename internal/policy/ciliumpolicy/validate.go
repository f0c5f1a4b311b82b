package ciliumpolicy

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/policy"
)

// Validate returns an error that names the policy and each invalid field. It rejects what Cilium rejects, and
// malformed entries of the annotations that evaluation uses. Of [policy.NamesAnnotation], this dialect only uses the
// entries for lookups.
func Validate(p *cilium.NetworkPolicy) error {
	if err := cilium.Validate(p); err != nil {
		return err
	}
	annotations := field.NewPath("metadata").Child("annotations")
	errs := policy.ValidateLists(&p.ObjectMeta, annotations)
	for _, n := range policy.ListedNames(p).All {
		if !n.IsLookup() {
			errs = append(
				errs,
				field.Invalid(
					annotations.Key(policy.NamesAnnotation), n.String(),
					"ports stand in toFQDNs: write "+policy.AllowedName{Host: n.Host}.String()+" for a lookup that has no answer",
				),
			)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("validate policy %s: %w", p.Name, errs.ToAggregate())
}
