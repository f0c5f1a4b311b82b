package check

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	ftpRange = "\n  - {to: [{podSelector: {matchLabels: {app: ftp}}}], ports: [{port: 43000, endPort: 43999}]}"
	ftpAll   = "\n  - {to: [{podSelector: {matchLabels: {app: ftp}}}]}"
	ftpOther = "\n  - {to: [{podSelector: {matchLabels: {app: ftp}}}], ports: [{port: 21}, {port: 43999}]}"

	ciliumFTPRange = "\n  - {toEndpoints: [{matchLabels: {'k8s:app': ftp}}], " +
		"toPorts: [{ports: [{port: '43000', endPort: 43999}]}]}"
	ciliumFTPOther = "\n  - {toEndpoints: [{matchLabels: {'k8s:app': ftp}}], toPorts: [{ports: [{port: '43999'}]}]}"

	deployedFTP = `apiVersion: v1
kind: Service
metadata: {name: ftp}
spec: {selector: {app: ftp}, ports: [{port: 990, targetPort: 43121}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ftp}
spec:
  selector: {matchLabels: {app: ftp}}
  template: {metadata: {labels: {app: ftp}}, spec: {containers: [{name: ftp, image: ftp PORTS}]}}
`
)

// No golden file gets a port that the kernel chose, unless the option, the manifests or a hand-written policy name it.
func TestEphemeral_Refused(t *testing.T) {
	ftp := flow.Endpoint{
		Kind: flow.Workload, Name: "ftp", Addr: netip.MustParseAddr("172.18.0.2"), Evidence: flow.ByContainer,
	}
	checkout := flow.Endpoint{Kind: flow.Workload, Name: "checkout"}
	to := func(port uint16) flow.Flow {
		return flow.Flow{Source: checkout, Destination: ftp, Protocol: flow.TCP, Port: port, Count: 1}
	}
	from := func(f flow.Flow, source flow.Endpoint) flow.Flow {
		f.Source = source
		return f
	}
	const (
		unexposed = "which container ftp-1 (netzero/ftp) does not expose, and which the kernel assigns to servers " +
			"that listen on port 0, so it changes with every run: no policy can hold that. Give it a fixed port and " +
			"expose that (EXPOSE, testcontainers.WithExposedPorts), or say which range it has in the cluster: " +
			`Ports("ftp:30000-30009"), or of a port that it always has: Ports("ftp:43121")`
		one = "ftp serves checkout at port 43121/TCP, " + unexposed
	)
	for _, row := range []struct {
		reason                   string
		flows                    []flow.Flow
		ports                    policy.PortRange // that the option Ports names
		manifests                string
		kubernetes, ciliumEgress string // rules of the committed policy
		peer                     bool   // ftp has no policy of its own
		want                     string
	}{
		{reason: "no golden file", flows: []flow.Flow{to(43121)}, want: one},
		{
			reason: "several ports and callers are one line",
			flows:  []flow.Flow{to(43121), to(43122), from(to(43122), flow.Endpoint{Kind: flow.Anyone})},
			want:   strings.Replace(one, "checkout at port 43121/TCP", "anywhere and checkout at ports 43121, 43122/TCP", 1),
		},
		{
			reason: "ingress alone",
			flows:  []flow.Flow{from(to(43121), flow.Endpoint{Kind: flow.Anyone})},
			want:   strings.Replace(one, "checkout", "anywhere", 1),
		},
		{
			reason: "a person's range", flows: []flow.Flow{to(43121)}, peer: true, kubernetes: ftpRange,
			ciliumEgress: ciliumFTPRange,
		},
		{
			reason: "a person's rule without ports", flows: []flow.Flow{to(43121)}, peer: true, kubernetes: ftpAll,
			ciliumEgress: ciliumFTPRange,
		},
		{
			reason: "rules for others", flows: []flow.Flow{to(43121)}, peer: true, kubernetes: ftpOther,
			ciliumEgress: ciliumFTPOther, want: one,
		},
		{
			reason: "a rule at one end only", flows: []flow.Flow{to(43121)}, kubernetes: ftpRange,
			ciliumEgress: ciliumFTPRange, want: one,
		},
		{
			reason: "a range that Ports says", flows: []flow.Flow{to(43121)},
			ports: policy.PortRange{Name: "ftp", Protocol: flow.TCP, First: 43000, Last: 43999},
		},
		{
			reason: "a port that Ports says", flows: []flow.Flow{to(43121)},
			ports: policy.PortRange{Name: "ftp", Protocol: flow.TCP, First: 43121, Last: 43121},
		},
		{
			reason: "a range beside it", flows: []flow.Flow{to(43121)},
			ports: policy.PortRange{Name: "ftp", Protocol: flow.TCP, First: 30000, Last: 30009},
			want:  one,
		},
		{
			reason: "of another workload", flows: []flow.Flow{to(43121)},
			ports: policy.PortRange{Name: "checkout", Protocol: flow.TCP, First: 43121, Last: 43121},
			want:  one,
		},
		{
			reason: "a target port of the manifests", flows: []flow.Flow{to(43121)},
			manifests: strings.Replace(deployedFTP, " PORTS", "", 1),
		},
		{
			reason: "a container port of the manifests", flows: []flow.Flow{to(43122)},
			manifests: strings.Replace(deployedFTP, " PORTS", ", ports: [{containerPort: 43122}]", 1),
		},
		{reason: "a port that the manifests do not have", flows: []flow.Flow{to(43121)},
			manifests: strings.Replace(strings.Replace(deployedFTP, " PORTS", "", 1), "43121", "43122", 1), want: one},
		{
			reason: "between two that get no policy",
			flows:  []flow.Flow{from(to(43121), flow.Endpoint{Kind: flow.Workload, Name: "mirror"})},
			peer:   true,
		},
	} {
		for _, dialect := range []string{"NetworkPolicy", "CiliumNetworkPolicy"} {
			t.Run(row.reason+"/"+dialect, func(t *testing.T) {
				dir := t.TempDir()
				o := Options{Golden: filepath.Join(dir, "golden.yaml"), Placement: placement.Options{
					Workload: "checkout", Named: true, Manifests: manifesttest.Read(t, row.manifests),
				}}
				if row.ports != (policy.PortRange{}) {
					o.Placement.Rules.Ranges = []policy.PortRange{row.ports}
				}
				text := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: checkout}\n" +
					"spec:\n  podSelector: {matchLabels: {app: checkout}}\n  policyTypes: [Egress]\n  egress:" + row.kubernetes + "\n"
				if dialect == "CiliumNetworkPolicy" {
					o.Placement.Cilium = true
					text = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n" +
						"spec:\n  endpointSelector: {matchLabels: {'k8s:app': checkout}}\n  egress:" + row.ciliumEgress + "\n"
				}
				if row.kubernetes != "" {
					if err := os.WriteFile(o.Golden, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				recorded := recording.Recording{Workloads: []recording.Workload{{Name: "checkout"}}}
				if !row.peer {
					recorded.Workloads = append(recorded.Workloads, recording.Workload{Name: "ftp", AllTraffic: true})
				}
				for _, f := range row.flows {
					recorded.Flows = append(recorded.Flows, f)
					recorded.EphemeralPorts = append(
						recorded.EphemeralPorts, recording.EphemeralPort{Flow: f, Container: "ftp-1 (netzero/ftp)"},
					)
				}
				got := ""
				if _, err := Place(recorded, o); err != nil {
					got = err.Error()
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// These servers are not containers: child processes, unknown servers, and the test process. Containers reach the test
// process by addresses that change in each run: their network's gateway, or the sshd of host access.
func TestEphemeral_Descriptions(t *testing.T) {
	client := flow.Endpoint{Kind: flow.Workload, Name: "client"}
	server := func(kind flow.Kind, name, addr string) flow.Flow {
		return flow.Flow{
			Source:      client,
			Destination: flow.Endpoint{Kind: kind, Name: name, Addr: netip.MustParseAddr(addr)},
			Protocol:    flow.TCP, Port: 43121,
		}
	}
	udp := server(flow.Workload, "python3", "127.0.0.1")
	udp.Protocol = flow.UDP
	const why = ", which the kernel assigns to servers that listen on port 0, so it changes with every run: no policy " +
		"can hold that. Give it a fixed port below that range, or say at which port it serves in the cluster: "
	for _, row := range []struct {
		reason string
		seen   []recording.EphemeralPort
		want   []string
	}{
		{
			"a child",
			[]recording.EphemeralPort{
				{Flow: server(flow.Workload, "python3", "127.0.0.1")},
				{Flow: server(flow.Workload, "python3", "::1")},
			},
			[]string{
				"python3 serves client at port 43121/TCP" + why +
					`Peer("127.0.0.1:43121", "python3:8080"), or which range it has there: ` +
					`Ports("python3:30000-30009"), or of a port that it always has: Ports("python3:43121")`,
			},
		},
		{"over UDP", []recording.EphemeralPort{{Flow: udp}},
			[]string{
				"python3 serves client at port 43121/UDP" + why +
					`Peer("127.0.0.1:43121", "python3:8080"), or which range it has there: ` +
					`Ports("python3:30000-30009/UDP"), or of a port that it always has: Ports("python3:43121/UDP")`,
			}},
		{"of whom nothing is known", []recording.EphemeralPort{{Flow: server(flow.Address, "", "::1")}},
			[]string{
				"::1 serves client at port 43121/TCP" + why + `Peer("[::1]:43121", "name:8080"), or which range it has there: ` +
					`Ports("name:30000-30009"), or of a port that it always has: Ports("name:43121")`,
			}},
		{
			"the test process",
			[]recording.EphemeralPort{
				{Flow: server(flow.Workload, "checkout", "172.18.0.1"), Test: true},
				{Flow: server(flow.Workload, "checkout", "172.19.0.2"), Test: true},
			},
			[]string{
				"checkout serves client at port 43121/TCP" + why +
					`Peer("localhost:43121", "checkout:8080"), or which range it has there: ` +
					`Ports("checkout:30000-30009"), or of a port that it always has: Ports("checkout:43121")`,
			},
		},
	} {
		if diff := cmp.Diff(row.want, describeEphemeral(row.seen)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}
