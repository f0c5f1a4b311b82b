package check

import (
	"fmt"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// dialect generates, evaluates and updates the policies of one dialect for the workloads in a scope.
type dialect struct {
	policy.Dialect[golden.Policy]
	kind  golden.Dialect
	scope policy.Scope
}

// dialectFor returns the dialect of a golden file for a scope.
func dialectFor(kind golden.Dialect, scope policy.Scope) dialect {
	if kind == golden.Cilium {
		return dialect{policy.As[golden.Policy](ciliumpolicy.Dialect{Scope: scope}), kind, scope}
	}
	return dialect{policy.As[golden.Policy](networkpolicy.Dialect{Scope: scope}), kind, scope}
}

// optionDialect returns the dialect for the option Cilium of netzerotest.
func optionDialect(isCilium bool) golden.Dialect {
	if isCilium {
		return golden.Cilium
	}
	return golden.Kubernetes
}

// dialect returns the dialect that the options select.
func (o Options) dialect() golden.Dialect { return optionDialect(o.Placement.Cilium) }

// otherDialect returns an error if a golden file is not of the dialect that the options select.
func (o Options) otherDialect(file *golden.File) error {
	if file.Dialect == "" || file.Dialect == o.dialect() {
		return nil
	}
	path := o.Package.Dir.Relative(file.Path)
	if o.Placement.Cilium {
		return fmt.Errorf("%s holds a NetworkPolicy, the option Cilium() asks for CiliumNetworkPolicy: "+
			"leave the option out, or delete the file and record it anew with -update", path)
	}
	return fmt.Errorf("%s holds a CiliumNetworkPolicy, the options do not say Cilium(): "+
		"add the option, or delete the file and record it anew with -update", path)
}
