package containers

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/netzerotest"
)

func init() {
	users["node"] = func(t *testing.T) {
		image := require(t)
		options := []netzerotest.Option{netzerotest.Driver(), netzerotest.Cilium()}
		if peer := os.Getenv("PEER"); peer != "" {
			options = append(options, netzerotest.Peer("localhost:"+os.Getenv("PORT"), peer))
		}
		rec := record(t, options...)
		n := newNetwork(t)
		succeeded(t,
			run(t, image, "echo "+net.JoinHostPort(gatewayOf(t, n), os.Getenv("PORT")), rec.As("client"), in(n), toEnd()))
	}
}

// A process of this machine outside the test is the host in Cilium's terms, unless Peer names it.
func TestCilium_HostProcess(t *testing.T) {
	require(t)
	port := ownPort(t)
	echoAt(t, ":"+port) // in this process, not in that of the user's test
	const start = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: client
spec:
  endpointSelector:
    matchLabels:
      k8s:app: client
  egress:
`
	for _, c := range []struct{ peer, want, says string }{
		{"", start + `  - toEntities:
    - host
    toPorts:
    - ports:
      - port: "` + port + `"
        protocol: TCP
`, `is a process of this machine, which Cilium treats as the host: if it stands for pods, name them: ` +
			`Peer\("localhost:` + port + `", "name:8080"\)`},
		{"agent", start + `  - toEndpoints:
    - matchLabels:
        k8s:app: agent
    toPorts:
    - ports:
      - port: "` + port + `"
        protocol: TCP
  - toEndpoints:
    - matchLabels:
        k8s:io.kubernetes.pod.namespace: kube-system
        k8s:k8s-app: kube-dns
    toPorts:
    - ports:
      - port: "53"
        protocol: ANY
      rules:
        dns:
        - matchPattern: '*'
`, ""},
	} {
		u := newUser(t)
		env := []string{"PORT=" + port, "PEER=" + c.peer}
		for _, args := range [][]string{{"-update"}, nil} {
			out, passed := u.testWith(env, "node", args...)
			if !passed {
				t.Fatalf("failed:\n%s", out)
			}
			u.says(out, c.says)
		}
		golden := u.golden()
		if diff := cmp.Diff(c.want, golden[strings.Index(golden, "apiVersion:"):]); diff != "" {
			t.Errorf("Peer %q (-want +got):\n%s", c.peer, diff)
		}
	}
}
