package netzerotest

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	ftpRange = "\n  - {to: [{podSelector: {matchLabels: {app: ftp}}}], ports: [{port: 43000, endPort: 43999}]}"
	ftpAll   = "\n  - {to: [{podSelector: {matchLabels: {app: ftp}}}]}"
	ftpOther = "\n  - {to: [{podSelector: {matchLabels: {app: ftp}}}], ports: [{port: 21}, {port: 43999}]}"

	ciliumFTPRange = "\n  - {toEndpoints: [{matchLabels: {'k8s:app': ftp}}], toPorts: [{ports: [{port: '43000', endPort: 43999}]}]}"
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

// A port that the kernel chose reaches no golden file, unless somebody says what it is: the option, the manifests, or a
// person who wrote the policy.
func TestPortsThatChangeAreRefused(t *testing.T) {
	ftp := flow.Endpoint{Kind: flow.Workload, Name: "ftp", Addr: netip.MustParseAddr("172.18.0.2"), Evidence: flow.ByContainer}
	checkout := flow.Endpoint{Kind: flow.Workload, Name: "checkout"}
	to := func(port uint16) Flow {
		return Flow{Source: checkout, Destination: ftp, Protocol: flow.TCP, Port: port, Count: 1}
	}
	from := func(f Flow, source flow.Endpoint) Flow {
		f.Source = source
		return f
	}
	const (
		unexposed = "which container ftp-1 (netzero/ftp) does not expose, and which the kernel hands out to servers that ask for any, so that the next run has another: no policy can hold that. " +
			"Give it a fixed port and expose that (EXPOSE, testcontainers.WithExposedPorts), or say which range it has in the cluster: " +
			`Ports("ftp:30000-30009"), or of a port that it always has: Ports("ftp:43121")`
		one = "ftp serves checkout at port 43121/TCP, " + unexposed
	)
	for _, row := range []struct {
		reason                   string
		flows                    []Flow
		options                  []Option
		manifests                string
		kubernetes, ciliumEgress string // rules of the committed policy
		peer                     bool   // ftp has no policy of its own
		want                     string
	}{
		{reason: "no golden file", flows: []Flow{to(43121)}, want: one},
		{reason: "several ports and callers are one line", flows: []Flow{to(43121), to(43122), from(to(43122), flow.Endpoint{Kind: flow.Anyone})},
			want: strings.Replace(one, "checkout at port 43121/TCP", "anywhere and checkout at ports 43121, 43122/TCP", 1)},
		{reason: "ingress alone", flows: []Flow{from(to(43121), flow.Endpoint{Kind: flow.Anyone})}, want: strings.Replace(one, "checkout", "anywhere", 1)},
		{reason: "a person's range", flows: []Flow{to(43121)}, peer: true, kubernetes: ftpRange, ciliumEgress: ciliumFTPRange},
		{reason: "a person's rule without ports", flows: []Flow{to(43121)}, peer: true, kubernetes: ftpAll, ciliumEgress: ciliumFTPRange},
		{reason: "rules for others", flows: []Flow{to(43121)}, peer: true, kubernetes: ftpOther, ciliumEgress: ciliumFTPOther, want: one},
		{reason: "a rule at one end only", flows: []Flow{to(43121)}, kubernetes: ftpRange, ciliumEgress: ciliumFTPRange, want: one},
		{reason: "a range that Ports says", flows: []Flow{to(43121)}, options: []Option{Ports("ftp:43000-43999")}},
		{reason: "a port that Ports says", flows: []Flow{to(43121)}, options: []Option{Ports("ftp:43121")}},
		{reason: "a range beside it", flows: []Flow{to(43121)}, options: []Option{Ports("ftp:30000-30009")}, want: one},
		{reason: "of another workload", flows: []Flow{to(43121)}, options: []Option{Ports("checkout:43121")}, want: one},
		{reason: "a target port of the manifests", flows: []Flow{to(43121)}, manifests: strings.Replace(deployedFTP, " PORTS", "", 1)},
		{reason: "a container port of the manifests", flows: []Flow{to(43122)}, manifests: strings.Replace(deployedFTP, " PORTS", ", ports: [{containerPort: 43122}]", 1)},
		{reason: "a port that the manifests do not have", flows: []Flow{to(43121)},
			manifests: strings.Replace(strings.Replace(deployedFTP, " PORTS", "", 1), "43121", "43122", 1), want: one},
		{reason: "between two that get no policy", flows: []Flow{from(to(43121), flow.Endpoint{Kind: flow.Workload, Name: "mirror"})}, peer: true},
	} {
		for _, dialect := range []string{"NetworkPolicy", "CiliumNetworkPolicy"} {
			t.Run(row.reason+"/"+dialect, func(t *testing.T) {
				dir := t.TempDir()
				options := append([]Option{Workload("checkout")}, row.options...)
				if row.manifests != "" {
					path := filepath.Join(dir, "all.yaml")
					if err := os.WriteFile(path, []byte(row.manifests), 0o600); err != nil {
						t.Fatal(err)
					}
					options = append(options, Manifests(path))
				}
				text := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: checkout}\n" +
					"spec:\n  podSelector: {matchLabels: {app: checkout}}\n  policyTypes: [Egress]\n  egress:" + row.kubernetes + "\n"
				if dialect == "CiliumNetworkPolicy" {
					options = append(options, Cilium())
					text = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n" +
						"spec:\n  endpointSelector: {matchLabels: {'k8s:app': checkout}}\n  egress:" + row.ciliumEgress + "\n"
				}
				r := &Recording{golden: filepath.Join(dir, "golden.yaml")}
				if row.kubernetes != "" {
					if err := os.WriteFile(r.golden, []byte(text), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				var err error
				if r.config, err = newConfig(options); err != nil {
					t.Fatal(err)
				}
				recorded := settlement{workloads: []policy.Subject{{Workload: policy.Workload{Name: "checkout"}}}}
				if !row.peer {
					recorded.workloads = append(recorded.workloads, policy.Subject{Workload: policy.Workload{Name: "ftp"}, AllTraffic: true})
				}
				for _, f := range row.flows {
					recorded.flows = append(recorded.flows, f)
					recorded.changing = append(recorded.changing, changingPort{flow: f, container: "ftp-1 (netzero/ftp)"})
				}
				_, scope, _, err := r.config.deploy(recorded)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				if err := r.refuseChanging(recorded, scope); err != nil {
					got = err.Error()
				}
				if diff := cmp.Diff(row.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

// Servers that are no container: children, what nobody knows, and the test process, which containers reach by the gateway
// of their network or by the sshd of host access: addresses of one run.
func TestPortsThatChangeOfProcesses(t *testing.T) {
	client := flow.Endpoint{Kind: flow.Workload, Name: "client"}
	server := func(kind flow.Kind, name, addr string) Flow {
		return Flow{Source: client, Destination: flow.Endpoint{Kind: kind, Name: name, Addr: netip.MustParseAddr(addr)}, Protocol: flow.TCP, Port: 43121}
	}
	udp := server(flow.Workload, "python3", "127.0.0.1")
	udp.Protocol = flow.UDP
	const why = ", which the kernel hands out to servers that ask for any, so that the next run has another: no policy can hold that. " +
		"Give it a fixed port below that range, or say at which port it serves in the cluster: "
	for _, row := range []struct {
		reason string
		seen   []changingPort
		want   []string
	}{
		{"a child", []changingPort{{flow: server(flow.Workload, "python3", "127.0.0.1")}, {flow: server(flow.Workload, "python3", "::1")}},
			[]string{"python3 serves client at port 43121/TCP" + why + `Peer("127.0.0.1:43121", "python3:8080"), or which range it has there: ` +
				`Ports("python3:30000-30009"), or of a port that it always has: Ports("python3:43121")`}},
		{"over UDP", []changingPort{{flow: udp}},
			[]string{"python3 serves client at port 43121/UDP" + why + `Peer("127.0.0.1:43121", "python3:8080"), or which range it has there: ` +
				`Ports("python3:30000-30009/UDP"), or of a port that it always has: Ports("python3:43121/UDP")`}},
		{"of whom nothing is known", []changingPort{{flow: server(flow.Address, "", "::1")}},
			[]string{"::1 serves client at port 43121/TCP" + why + `Peer("[::1]:43121", "name:8080"), or which range it has there: ` +
				`Ports("name:30000-30009"), or of a port that it always has: Ports("name:43121")`}},
		{"the test process", []changingPort{{flow: server(flow.Workload, "checkout", "172.18.0.1"), test: true}, {flow: server(flow.Workload, "checkout", "172.19.0.2"), test: true}},
			[]string{"checkout serves client at port 43121/TCP" + why + `Peer("localhost:43121", "checkout:8080"), or which range it has there: ` +
				`Ports("checkout:30000-30009"), or of a port that it always has: Ports("checkout:43121")`}},
	} {
		if diff := cmp.Diff(row.want, describeChanging(row.seen)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestPortsOption(t *testing.T) {
	for _, row := range []struct {
		ports []string
		want  string // the ranges, or the error
	}{
		{[]string{"ftp:30000-30009", "ftp:30000-30009/tcp"}, "ftp:30000-30009/TCP"},
		{[]string{"orders.shop:50051", "media:10000-10999/udp", "media:10000-10999/SCTP"}, "orders.shop:50051/TCP media:10000-10999/UDP media:10000-10999/SCTP"},
		{nil, `Ports: no port: give one, such as "ftp:30000-30009"`},
		{[]string{"ftp"}, `Ports("ftp"): has no port: write workload:port or workload:first-last, such as "ftp:30000-30009"`},
		{[]string{"Ftp:21"}, `Ports("Ftp"): name "Ftp" has 'F' at byte 0, only lower-case letters, digits and '-' may stand there: write "ftp"`},
		{[]string{"ftp:0"}, `Ports("ftp:0"): "0" is no port: write a number from 1 to 65535`},
		{[]string{"ftp:1-65536"}, `Ports("ftp:1-65536"): "65536" is no port: write a number from 1 to 65535`},
		{[]string{"ftp:30009-30000"}, `Ports("ftp:30009-30000"): the range ends before it begins: write 30000-30009`},
		{[]string{"ftp:21/icmp"}, `Ports("ftp:21/icmp"): protocol "icmp" is none of TCP, UDP and SCTP`},
		{[]string{"ftp:1-9", "ftp:9-10"}, `Ports("ftp:9-10"): overlaps "ftp:1-9/TCP": write one range that holds both`},
	} {
		var c config
		var got []string
		if err := Ports(row.ports...).apply(&c); err != nil {
			got = append(got, err.Error())
		} else {
			for _, r := range c.ranges {
				got = append(got, r.String())
			}
		}
		if diff := cmp.Diff(row.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", row.ports, diff)
		}
	}
}
