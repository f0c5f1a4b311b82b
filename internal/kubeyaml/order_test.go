package kubeyaml

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestMarshal_FieldOrder(t *testing.T) {
	const kubernetes = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: shop
  namespace: "on"
  labels:
    a: "1"
    spec: x
  annotations:
    apiVersion: b
    example.com/a: a
    kind: a
spec:
  podSelector:
    matchLabels:
      app: shop
      kind: web
      name: x
    matchExpressions:
    - key: tier
      operator: In
      values:
      - b
      - a
  policyTypes:
  - Egress
  - Ingress
  ingress:
  - from:
    - ipBlock:
        cidr: 10.0.0.0/8
        except:
        - 10.1.0.0/16
    ports:
    - port: 8080
      endPort: 8090
      protocol: TCP
  egress:
  - {}
  - to:
    - namespaceSelector: {}
      podSelector: {}
    ports:
    - port: dns
      protocol: UDP
  - ports:
    - protocol: TCP
`
	const cilium = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: shop
spec:
  description: of Ada
  endpointSelector: {}
  enableDefaultDeny:
    egress: false
  ingress:
  - fromEntities:
    - all
    toPorts:
    - ports:
      - port: "80"
        protocol: TCP
  egress:
  - toEndpoints:
    - matchLabels:
        k8s:app: db
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchPattern: '*'
  - toFQDNs:
    - matchName: api.stripe.com
    toPorts:
    - ports:
      - port: "443"
        protocol: TCP
  - toCIDR:
    - 203.0.113.9/32
    icmps:
    - fields:
      - family: IPv4
        type: 8
`
	for _, text := range []string{kubernetes, cilium} {
		var object any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			t.Fatal(err)
		}
		got, err := Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}
