package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const nodePorts = `apiVersion: apps/v1
kind: Deployment
metadata: {name: edge-v1}
spec:
  selector: {matchLabels: {app: edge, version: v1}}
  template:
    metadata: {labels: {app: edge, version: v1}}
    spec:
      containers:
      - name: x
        image: x
        ports:
        - {name: web, containerPort: 8080, hostPort: 9443}
        - {name: quic, containerPort: 8443, protocol: UDP}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge-v2}
spec:
  selector: {matchLabels: {app: edge, version: v2}}
  template:
    metadata: {labels: {app: edge, version: v2}}
    spec: {containers: [{name: x, image: x, ports: [{name: web, containerPort: 9090}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: edge}
spec: {selector: {app: edge}, ports: [{port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: edge-public}
spec:
  type: LoadBalancer
  selector: {app: edge}
  ports:
  - {name: web, port: 443, targetPort: web, nodePort: 31443}
  - {name: quic, port: 443, targetPort: quic, protocol: UDP, nodePort: 31443}
  - {name: taken, port: 81, targetPort: 8081, nodePort: 8080}
`

func TestTargetPorts_NodePorts(t *testing.T) {
	s := parsed(t, nodePorts)
	for _, row := range []struct {
		reason, name string
		port         uint16
		protocol     flow.Protocol
		want         []uint16
	}{
		{"by name, in the pods of two workloads", "edge-public", 31443, flow.TCP, []uint16{8080, 9090}},
		{"each protocol has its own", "edge-public", 31443, flow.UDP, []uint16{8443}},
		{"another Service's for the same pods", "edge", 31443, flow.TCP, []uint16{8080, 9090}},
		{"a workload behind such a Service", "edge-v2", 31443, flow.TCP, []uint16{9090}},
		{"a workload that lacks the port", "edge-v2", 31443, flow.UDP, nil},
		{"the pods' own port counts more", "edge-public", 8080, flow.TCP, []uint16{8080}},
		{"the node's port of a container", "edge-v1", 9443, flow.TCP, []uint16{8080}},
		{"the same behind a Service", "edge", 9443, flow.TCP, []uint16{8080}},
		{"and not of another workload's", "edge-v2", 9443, flow.TCP, nil},
	} {
		m, err := s.Find(row.name, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.TargetPorts(row.port, row.protocol)
		if diff := cmp.Diff(row.want, got); diff != "" || (err == nil) != (row.want != nil) {
			t.Errorf("%s: %v (-want +got):\n%s", row.reason, err, diff)
		}
	}
}

func TestRead_InvalidNodePorts(t *testing.T) {
	for _, c := range []struct{ was, becomes, want string }{
		{"hostPort: 9443", "hostPort: 99443",
			"spec.template.spec.containers[0].ports[0].hostPort: 99443 is not a port; give one between 1 and 65535"},
		{"nodePort: 8080", "nodePort: -1", "spec.ports[2].nodePort: -1 is not a port; give one between 1 and 65535"},
	} {
		err := new(Set).add("x.yaml", []byte(strings.Replace(nodePorts, c.was, c.becomes, 1)))
		if err == nil || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.becomes, err, c.want)
		}
	}
}
