package cluster

import (
	"net/netip"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
	"time"
)

func start(t *testing.T) *Cluster {
	t.Helper()
	programs, err := Build(".", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(t.Context(), t.TempDir(), programs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := new(unstructured.Unstructured)
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestTry(t *testing.T) {
	began := time.Now()
	c := start(t)
	t.Log("started", time.Since(began))
	a, err := c.Run(t.Context(), PodSpec{Namespace: "shop", Name: "a", Labels: map[string]string{"app": "a"}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Run(t.Context(), PodSpec{Namespace: "shop", Name: "b", Labels: map[string]string{"app": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, proto := range []corev1.Protocol{"TCP", "UDP"} {
		if err := b.Serve(proto, 80); err != nil {
			t.Fatal(err)
		}
		if err := c.ServeInternet(proto, netip.AddrPortFrom(c.AddHost("api.stripe.com"), 443)); err != nil {
			t.Fatal(err)
		}
	}
	probe := func() {
		for _, x := range []Target{
			{Addr: b.Addr4, Port: 80, Protocol: "TCP"}, {Addr: b.Addr6, Port: 80, Protocol: "TCP"}, {Addr: b.Addr4, Port: 80, Protocol: "UDP"},
			{Name: "api.stripe.com", Port: 443, Protocol: "TCP"}, {Name: "api.stripe.com", Port: 443, Protocol: "UDP"},
			{Name: "kubernetes.default.svc.cluster.local", Port: 443, Protocol: "TCP"},
		} {
			began := time.Now()
			ok, err := a.Reaches(t.Context(), x, time.Second)
			t.Log(x, ok, err, time.Since(began))
		}
	}
	probe()
	began = time.Now()
	if err := c.Apply(t.Context(), object(t, `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: shop}, spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: 80, protocol: TCP}]}]}}`), false); err != nil {
		t.Fatal(err)
	}
	if err := c.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Log("synced", time.Since(began))
	probe()
	log, _ := c.EnforcerLog()
	t.Log(log)
}
