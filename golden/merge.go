package golden

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// Merge returns the union of the policies of several golden files, all of one dialect: what is deployed, where each test
// of a service has a file of its own.
//
//	a, err := golden.Read("testdata/netzero/TestCheckout.yaml")
//	b, err := golden.Read("testdata/netzero/TestRefund.yaml")
//	policies, err := golden.Merge(a.Policies, b.Policies)
//	text, err := golden.Format(golden.Header{}, policies)
//
// There is one policy to a namespace and name. It allows what any of the given ones does, isolates where any does, and
// holds no rule, peer or port that another part of it allows anyway; the names of netzero.dev/egress-names are united, the
// flows of netzero.dev/egress-other and netzero.dev/ingress-other, and the programs of netzero.dev/binaries, of which there is no list where one of the policies has none. The result does not
// depend on the order of the files, nor on that of their rules, and shares no memory with them. Comments are not in it: a
// policy has none.
//
// Policies of one name that select other pods, or stand in another namespace, or differ in a label or an annotation are an
// error, which names all of them.
func Merge[P Policy](sets ...[]P) ([]P, error) {
	var united any
	var err error
	switch sets := any(sets).(type) {
	case [][]*networkingv1.NetworkPolicy:
		united, err = networkpolicy.Unite(sets...)
	case [][]*CiliumNetworkPolicy:
		united, err = ciliumpolicy.Unite(sets...)
	}
	if err != nil {
		return nil, fmt.Errorf("merge policies: %w", err)
	}
	return united.([]P), nil
}
