package golden

import (
	"fmt"
	"slices"
)

// Merge returns the union of the policies of several golden files, all of one dialect: the policies to deploy if each
// test of a service has its own file.
//
//	a, err := golden.Read("testdata/netzero/TestCheckout.yaml")
//	b, err := golden.Read("testdata/netzero/TestRefund.yaml")
//	policies, err := golden.Merge(a.Policies, b.Policies)
//	text, err := golden.Format(golden.Header{}, policies)
//
// The result has one policy for each namespace and name. It allows everything that any of the given policies allows,
// isolates pods if any of them does, and has no rule, peer or port that another part of it already covers. It unites
// the names of netzero.dev/egress-names, the flows of netzero.dev/egress-other and netzero.dev/ingress-other, and the
// programs of netzero.dev/binaries. If one of the policies has no list of programs, the result has none.
//
// The result does not depend on the order of the files or of their rules, shares no memory with them, and contains no
// comments.
//
// Merge fails if policies of the same name select different pods, or differ in namespace, a label or an annotation. The
// error names all of them. It also fails if the files are of two dialects.
func Merge(files ...[]Policy) ([]Policy, error) {
	d, err := commonDialect(slices.Concat(files...))
	if err != nil {
		return nil, fmt.Errorf("merge policies: %w", err)
	}
	if d == nil {
		return nil, nil
	}
	united, err := d.unite(files)
	if err != nil {
		return nil, fmt.Errorf("merge policies: %w", err)
	}
	return united, nil
}
