package manifest

import (
	"fmt"
	"testing"
)

const apiServerSlice = "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: kubernetes, " +
	"namespace: default, labels: {kubernetes.io/service-name: kubernetes}}\n" +
	"addressType: IPv4\nendpoints: [{addresses: [10.0.0.3]}, {addresses: [10.0.0.2]}]\nports: [{name: https, port: " +
	"6443, protocol: TCP}]\n"

func TestAPIServer_Addresses(t *testing.T) {
	const endpoints = "---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: kubernetes%s}\nsubsets: [{addresses: " +
		"[{ip: 172.18.0.2}], ports: [{name: https, port: 8443}]}]\n"
	for _, c := range []struct{ reason, text, want string }{
		{"an EndpointSlice", apiServerSlice, "[{10.0.0.2 6443 TCP} {10.0.0.3 6443 TCP}]"},
		{"Endpoints", fmt.Sprintf(endpoints, ", namespace: default"), "[{172.18.0.2 8443 TCP}]"},
		{"that do not say their namespace", fmt.Sprintf(endpoints, ""), "[{172.18.0.2 8443 TCP}]"},
		{"of another namespace", fmt.Sprintf(endpoints, ", namespace: shop"), "[]"},
		{"the Service alone", "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: " +
			"default}\nspec: {ports: [{name: https, port: 443, targetPort: 6443}]}\n", "[]"},
	} {
		if got := fmt.Sprint(parsed(t, c.text).APIServer()); got != c.want {
			t.Errorf("%s: %s, want %s", c.reason, got, c.want)
		}
	}
}

func TestFind_HostNetworkPods(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: agent, labels: {app: agent}}\nspec: {hostNetwork: %v, " +
		"containers: [{name: x}]}\n"
	for _, want := range []bool{true, false} {
		m, err := parsed(t, fmt.Sprintf(pod, want)).Find("agent", "")
		if err != nil || m.HostNetwork != want || m.Selector["app"] != "agent" {
			t.Errorf("hostNetwork %v: %+v, %v", want, m, err)
		}
	}
}
