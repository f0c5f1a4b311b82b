package boutique

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// dependency says that pods of one service call pods of another.
type dependency struct {
	from, to string
	port     int32 // of the pods, over TCP
}

// method says that one service calls a method of another.
type method struct{ from, to, path string }

// methods are those that the services of Online Boutique call, by their sources: src/frontend/rpc.go and handlers.go,
// src/checkoutservice/main.go, src/recommendationservice/recommendation_server.py.
var methods = []method{
	{"frontend", "adservice", "/hipstershop.AdService/GetAds"},
	{"frontend", "cartservice", "/hipstershop.CartService/AddItem"},
	{"frontend", "cartservice", "/hipstershop.CartService/EmptyCart"},
	{"frontend", "cartservice", "/hipstershop.CartService/GetCart"},
	{"frontend", "checkoutservice", "/hipstershop.CheckoutService/PlaceOrder"},
	{"frontend", "currencyservice", "/hipstershop.CurrencyService/Convert"},
	{"frontend", "currencyservice", "/hipstershop.CurrencyService/GetSupportedCurrencies"},
	{"frontend", "productcatalogservice", "/hipstershop.ProductCatalogService/GetProduct"},
	{"frontend", "productcatalogservice", "/hipstershop.ProductCatalogService/ListProducts"},
	{"frontend", "recommendationservice", "/hipstershop.RecommendationService/ListRecommendations"},
	{"frontend", "shippingservice", "/hipstershop.ShippingService/GetQuote"},
	{"checkoutservice", "cartservice", "/hipstershop.CartService/EmptyCart"},
	{"checkoutservice", "cartservice", "/hipstershop.CartService/GetCart"},
	{"checkoutservice", "currencyservice", "/hipstershop.CurrencyService/Convert"},
	{"checkoutservice", "emailservice", "/hipstershop.EmailService/SendOrderConfirmation"},
	{"checkoutservice", "paymentservice", "/hipstershop.PaymentService/Charge"},
	{"checkoutservice", "productcatalogservice", "/hipstershop.ProductCatalogService/GetProduct"},
	{"checkoutservice", "shippingservice", "/hipstershop.ShippingService/GetQuote"},
	{"checkoutservice", "shippingservice", "/hipstershop.ShippingService/ShipOrder"},
	{"recommendationservice", "productcatalogservice", "/hipstershop.ProductCatalogService/ListProducts"},
}

func (d dependency) String() string { return fmt.Sprintf("%s -> %s:%d", d.from, d.to, d.port) }

// dependencies are those of Online Boutique, with the ports at which its containers listen.
var dependencies = []dependency{
	{"loadgenerator", "frontend", 8080},
	{"frontend", "adservice", 9555},
	{"frontend", "cartservice", 7070},
	{"frontend", "checkoutservice", 5050},
	{"frontend", "currencyservice", 7000},
	{"frontend", "productcatalogservice", 3550},
	{"frontend", "recommendationservice", 8080},
	{"frontend", "shippingservice", 50051},
	{"checkoutservice", "cartservice", 7070},
	{"checkoutservice", "currencyservice", 7000},
	{"checkoutservice", "emailservice", 8080},
	{"checkoutservice", "paymentservice", 50051},
	{"checkoutservice", "productcatalogservice", 3550},
	{"checkoutservice", "shippingservice", 50051},
	{"recommendationservice", "productcatalogservice", 3550},
	{"cartservice", "redis-cart", 6379},
}

// The golden file is read with Kubernetes' own types and no package of NetZero, so an error that generation and
// evaluation share does not hide here.
func TestEdges_AreTheDependencies(t *testing.T) {
	var want []string
	for _, d := range dependencies {
		want = append(want, d.String())
	}
	slices.Sort(want)
	policies := readGolden(t)
	for _, side := range []struct {
		name  string
		edges func(*networkingv1.NetworkPolicy) ([]dependency, error)
	}{
		{"egress", egressEdges},
		{"ingress", ingressEdges},
	} {
		var got []string
		for _, p := range policies {
			edges, err := side.edges(p)
			if err != nil {
				t.Errorf("%s of policy %s: %v", side.name, p.Name, err)
			}
			for _, e := range edges {
				got = append(got, e.String())
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-dependencies +golden)\n%s", side.name, diff)
		}
	}
}

// Pods that no policy isolates may call anything, and the edges alone would not show it.
func TestPolicies_IsolateEachService(t *testing.T) {
	callers, called := make(map[string]bool), make(map[string]bool)
	for _, d := range dependencies {
		callers[d.from], called[d.to] = true, true
	}
	want := make(map[string][]networkingv1.PolicyType)
	for name := range callers {
		want[name] = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress}
	}
	for name := range called { // only loadgenerator has no callers, so its ingress stays open
		want[name] = []networkingv1.PolicyType{networkingv1.PolicyTypeEgress, networkingv1.PolicyTypeIngress}
	}
	got := make(map[string][]networkingv1.PolicyType)
	for _, p := range readGolden(t) {
		app, err := appOf(&p.Spec.PodSelector)
		if err != nil {
			t.Errorf("policy %s: %v", p.Name, err)
		}
		if p.Namespace != "boutique" {
			t.Errorf("policy %s is in namespace %q, want boutique", p.Name, p.Namespace)
		}
		got[app] = append(got[app], p.Spec.PolicyTypes...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policy types (-want +golden)\n%s", diff)
	}
}

// A rule that edges cannot express exactly is an error, because skipping it would hide the flows that it allows.
func TestEdges_InexactRules(t *testing.T) {
	type (
		peer = networkingv1.NetworkPolicyPeer
		port = networkingv1.NetworkPolicyPort
	)
	pods := func(labels map[string]string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: labels}
	}
	tcp, udp, last := corev1.ProtocolTCP, corev1.ProtocolUDP, int32(9000)
	number, name := intstr.FromInt32(8080), intstr.FromString("http")
	frontend := pods(map[string]string{"app": "frontend"})
	release := pods(map[string]string{"app": "frontend", "app.kubernetes.io/version": "1.4.2"})
	peers, ports := []peer{{PodSelector: frontend}}, []port{{Protocol: &tcp, Port: &number}}
	if got, err := endsOf(peers, ports); err != nil || len(got) != 1 || got[0] != (end{"frontend", 8080}) {
		t.Fatalf("one port of one service: got %v, %v", got, err)
	}
	for _, c := range []struct {
		reason string
		peers  []peer
		ports  []port
	}{
		{"any destination", nil, ports},
		{"any port", peers, nil},
		{"any port over TCP", peers, []port{{Protocol: &tcp}}},
		{"a range of ports", peers, []port{{Protocol: &tcp, Port: &number, EndPort: &last}}},
		{"a port's name", peers, []port{{Protocol: &tcp, Port: &name}}},
		{"UDP", peers, []port{{Protocol: &udp, Port: &number}}},
		{"addresses", []peer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}}, ports},
		{"all pods", []peer{{PodSelector: pods(nil)}}, ports},
		{"all namespaces", []peer{{NamespaceSelector: pods(nil), PodSelector: frontend}}, ports},
		{"the pods of one release", []peer{{PodSelector: release}}, ports},
	} {
		if got, err := endsOf(c.peers, c.ports); err == nil {
			t.Errorf("%s: no error, but %v", c.reason, got)
		}
	}
}

func readGolden(t *testing.T) []*networkingv1.NetworkPolicy {
	t.Helper()
	text, err := os.ReadFile("testdata/netzero/TestBoutique.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var policies []*networkingv1.NetworkPolicy
	for _, document := range strings.Split(string(text), "\n---\n") {
		p := new(networkingv1.NetworkPolicy)
		if err := yaml.UnmarshalStrict([]byte(document), p); err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	return policies
}

// egressEdges returns the flows that a policy allows its pods to open, except for the cluster's DNS.
func egressEdges(p *networkingv1.NetworkPolicy) ([]dependency, error) {
	from, err := appOf(&p.Spec.PodSelector)
	if err != nil {
		return nil, err
	}
	var all []dependency
	for _, rule := range p.Spec.Egress {
		if cmp.Equal(rule, clusterDNS) {
			continue
		}
		ends, err := endsOf(rule.To, rule.Ports)
		if err != nil {
			return nil, err
		}
		for _, to := range ends {
			all = append(all, dependency{from, to.app, to.port})
		}
	}
	return all, nil
}

// ingressEdges returns who may call a policy's pods.
func ingressEdges(p *networkingv1.NetworkPolicy) ([]dependency, error) {
	to, err := appOf(&p.Spec.PodSelector)
	if err != nil {
		return nil, err
	}
	var all []dependency
	for _, rule := range p.Spec.Ingress {
		ends, err := endsOf(rule.From, rule.Ports)
		if err != nil {
			return nil, err
		}
		for _, from := range ends {
			all = append(all, dependency{from.app, to, from.port})
		}
	}
	return all, nil
}

// clusterDNS is the rule by which pods resolve names: each caller has it, and it is no dependency of the shop.
var clusterDNS = networkingv1.NetworkPolicyEgressRule{
	To: []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{
			MatchLabels: map[string]string{"kubernetes.io/metadata.name": "kube-system"},
		},
		PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
	}},
	Ports: []networkingv1.NetworkPolicyPort{
		{Protocol: pointerTo(corev1.ProtocolTCP), Port: pointerTo(intstr.FromInt32(53))},
		{Protocol: pointerTo(corev1.ProtocolUDP), Port: pointerTo(intstr.FromInt32(53))},
	},
}

func pointerTo[T any](v T) *T { return &v }

// end is one peer of a rule with one of the rule's ports, over TCP.
type end struct {
	app  string
	port int32
}

// endsOf returns each peer of a rule with each port. It returns an error for a rule that allows anything but listed
// ports of listed services.
func endsOf(peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort) ([]end, error) {
	if len(peers) == 0 || len(ports) == 0 {
		return nil, errors.New("a rule lists no peer or no port, and so allows all of them")
	}
	var ends []end
	for _, peer := range peers {
		if peer.IPBlock != nil || peer.NamespaceSelector != nil || peer.PodSelector == nil {
			return nil, fmt.Errorf("peer %v is not a service of the policy's namespace", peer)
		}
		app, err := appOf(peer.PodSelector)
		if err != nil {
			return nil, err
		}
		for _, p := range ports {
			tcp := p.Protocol != nil && *p.Protocol == corev1.ProtocolTCP
			if !tcp || p.Port == nil || p.Port.Type != intstr.Int || p.EndPort != nil {
				return nil, fmt.Errorf("port %v is not one number over TCP", p)
			}
			ends = append(ends, end{app, p.Port.IntVal})
		}
	}
	return ends, nil
}

// appOf returns the value of label app, which has to be the selector's only condition.
func appOf(selector *metav1.LabelSelector) (string, error) {
	app := selector.MatchLabels["app"]
	if app == "" || len(selector.MatchLabels) != 1 || len(selector.MatchExpressions) > 0 {
		labels := slices.Sorted(maps.Keys(selector.MatchLabels))
		return "", fmt.Errorf("selector with labels %v is not just one service's label app", labels)
	}
	return app, nil
}
