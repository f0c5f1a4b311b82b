package check

import (
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// ValidateWorkload returns an error if the API server would reject the policy of a workload, because of its labels.
func ValidateWorkload(w policy.Workload) error {
	scope := policy.Scope{Subjects: []policy.Subject{{Workload: w}}}
	for _, p := range (networkpolicy.Dialect{Scope: scope}).Generate(nil) {
		if err := networkpolicy.Validate(p); err != nil {
			return err
		}
	}
	return nil
}
