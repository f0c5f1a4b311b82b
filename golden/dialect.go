package golden

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/kubeyaml"
	"github.com/netzero-dev/netzero/internal/policy/ciliumpolicy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
)

// dialect is a kind of object that a golden file may hold.
type dialect struct {
	apiVersion, kind string
	option           string // of netzerotest, that records it
	decode           func(object map[string]any) (metav1.Object, []string, *kubeyaml.Fault)
	validate         func(metav1.Object) error
	normal           func(metav1.Object) metav1.Object
}

const (
	apiVersion = "networking.k8s.io/v1"
	kind       = "NetworkPolicy"
)

var (
	kubernetes = &dialect{
		apiVersion: apiVersion, kind: kind, option: "no Cilium()",
		decode: func(object map[string]any) (metav1.Object, []string, *kubeyaml.Fault) {
			p := new(networkingv1.NetworkPolicy)
			unknown, fault := kubeyaml.Decode(object, p)
			return p, unknown, fault
		},
		validate: func(p metav1.Object) error { return networkpolicy.Validate(p.(*networkingv1.NetworkPolicy)) },
		normal:   func(p metav1.Object) metav1.Object { return normalKubernetes(p.(*networkingv1.NetworkPolicy)) },
	}
	ciliums = &dialect{
		apiVersion: cilium.APIVersion, kind: cilium.Kind, option: "Cilium()",
		decode: func(object map[string]any) (metav1.Object, []string, *kubeyaml.Fault) {
			p := new(cilium.NetworkPolicy)
			unknown, fault := kubeyaml.Decode(object, p)
			return p, unknown, fault
		},
		validate: func(p metav1.Object) error { return ciliumpolicy.Validate(p.(*cilium.NetworkPolicy)) },
		normal:   func(p metav1.Object) metav1.Object { return normalCilium(p.(*cilium.NetworkPolicy)) },
	}
)

var dialects = []*dialect{kubernetes, ciliums}

func dialectOf(p metav1.Object) *dialect {
	if _, is := p.(*cilium.NetworkPolicy); is {
		return ciliums
	}
	return kubernetes
}

func typeOf(p metav1.Object) metav1.TypeMeta {
	if c, is := p.(*cilium.NetworkPolicy); is {
		return c.TypeMeta
	}
	return p.(*networkingv1.NetworkPolicy).TypeMeta
}

// plain returns a copy of a policy with its type, but without the fields that only an API server sets.
func plain(p metav1.Object) metav1.Object {
	of := dialectOf(p)
	t := metav1.TypeMeta{APIVersion: of.apiVersion, Kind: of.kind}
	m := metav1.ObjectMeta{Name: p.GetName(), Namespace: p.GetNamespace(), Labels: p.GetLabels(),
		Annotations: p.GetAnnotations()}
	if c, is := p.(*cilium.NetworkPolicy); is {
		c = c.DeepCopy()
		c.TypeMeta, c.ObjectMeta = t, *m.DeepCopy()
		return c
	}
	k := p.(*networkingv1.NetworkPolicy).DeepCopy()
	k.TypeMeta, k.ObjectMeta = t, *m.DeepCopy()
	return k
}
