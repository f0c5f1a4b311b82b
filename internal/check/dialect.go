package check

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// dialect generates, evaluates and updates the policies of one kind for the workloads in a scope.
type dialect[P golden.Policy] struct {
	scope   policy.Scope
	rules   policy.Dialect[P]
	of      func(*golden.File) []P
	rewrite func(*golden.File, golden.Header, []P) ([]byte, error)
	with    func(policy.Scope) dialect[P] // the same for another scope
}

func kubernetes(scope policy.Scope) dialect[*networkingv1.NetworkPolicy] {
	return dialect[*networkingv1.NetworkPolicy]{
		scope: scope, rules: networkpolicy.Dialect{Scope: scope}, rewrite: (*golden.File).Rewrite, with: kubernetes,
		of: func(f *golden.File) []*networkingv1.NetworkPolicy { return f.Policies },
	}
}

func ciliums(scope policy.Scope) dialect[*golden.CiliumNetworkPolicy] {
	return dialect[*golden.CiliumNetworkPolicy]{
		scope: scope, rules: ciliumpolicy.Dialect{Scope: scope}, rewrite: (*golden.File).RewriteCilium, with: ciliums,
		of: func(f *golden.File) []*golden.CiliumNetworkPolicy { return f.Cilium },
	}
}

// otherDialect returns an error if a golden file is not of the kind that the options select.
func (o Options) otherDialect(file *golden.File) error {
	path := o.Package.Dir.Relative(file.Path)
	switch {
	case o.Placement.Cilium && len(file.Policies) > 0:
		return fmt.Errorf("%s holds a NetworkPolicy, the option Cilium() asks for CiliumNetworkPolicy: "+
			"leave the option out, or delete the file and record it anew with -update", path)
	case !o.Placement.Cilium && len(file.Cilium) > 0:
		return fmt.Errorf("%s holds a CiliumNetworkPolicy, the options do not say Cilium(): "+
			"add the option, or delete the file and record it anew with -update", path)
	}
	return nil
}
