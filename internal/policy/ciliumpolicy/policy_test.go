package ciliumpolicy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/policytest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const dnsRule = `
  - toEndpoints: [{matchLabels: {"k8s:k8s-app": kube-dns, "k8s:io.kubernetes.pod.namespace": kube-system}}]
    toPorts: [{ports: [{port: "53", protocol: ANY}], rules: {dns: [{matchPattern: "*"}]}}]
`

func TestEvaluate_CiliumPolicies(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	c := Dialect{alone(checkout)}
	stripe := toPort(external("api.stripe.com", "198.51.100.1"), flow.TCP, 443)
	apiServer := toPort(flow.ClusterAPIServer, flow.TCP, 443)
	ping := toPort(at("203.0.113.9"), flow.ICMP, 0)
	ping6 := toPort(at("2001:db8::7"), flow.ICMPv6, 0)
	clock := ping
	clock.ICMPType = 13
	db := toPort(workload("db"), flow.TCP, 5432)
	statsd := toPort(node("statsd"), flow.UDP, 9125)
	for _, row := range []struct {
		reason, rules string
		flow          flow.Flow
		want          policy.Outcome
		says          string
	}{
		{"an empty rule denies all", "  egress: [{}]", db, policy.Denied, "denies everything"},
		{"a policy without egress rules isolates no pod", "  ingress: [{}]", db, policy.Unprotected, "has no egress rules"},
		{
			"a rule without peers is for everywhere",
			"  egress: [{toPorts: [{ports: [{port: \"5432\"}]}]}]",
			db, policy.Allowed, "",
		},
		{
			"a missing protocol is any",
			"  egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: \"5432\"}]}]}]",
			db, policy.Allowed, "",
		},
		{
			"another protocol",
			"  egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: \"5432\", protocol: UDP}]}]}]",
			db, policy.Denied, "5432/UDP",
		},
		{
			"a rule without ports is for all of them",
			"  egress: [{toEndpoints: [{matchLabels: {app: db}}]}]",
			db, policy.Allowed, "",
		},
		{"and for ICMP", "  egress: [{toCIDRSet: [{cidr: 203.0.113.0/24}]}]", ping, policy.Allowed, ""},
		{"a key of any source", "  egress: [{toEndpoints: [{matchLabels: {\"any:app\": db}}]}]", db, policy.Allowed, ""},
		{
			"labels that are not X include none",
			"  egress: [{toEndpoints: [{matchExpressions: [{key: tier, operator: NotIn, values: [web]}]}]}]",
			db, policy.Allowed, "",
		},
		{
			"a label that has to be there",
			"  egress: [{toEndpoints: [{matchExpressions: [{key: tier, operator: Exists}]}]}]",
			db, policy.Denied, "no rule is for db",
		},
		{
			"without a namespace it is the policy's own",
			"  egress: [{toEndpoints: [{matchLabels: {app: db}}]}]",
			toPort(workloadIn("data", "db"), flow.TCP, 5432),
			policy.Denied, "another namespace",
		},
		{
			"any namespace, by an expression",
			"  egress: [{toEndpoints: [{matchLabels: {app: db}, " +
				"matchExpressions: [{key: io.kubernetes.pod.namespace, operator: Exists}]}]}]",
			toPort(workloadIn("data", "db"), flow.TCP, 5432),
			policy.Allowed, "",
		},
		{
			"a name with its lookup",
			"  egress:" + dnsRule + "  - {toFQDNs: [{matchName: api.stripe.com}], " +
				"toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}",
			stripe, policy.Allowed, "",
		},
		{
			"a pattern",
			"  egress:" + dnsRule + "  - {toFQDNs: [{matchPattern: \"*.stripe.com\"}]}",
			stripe, policy.Allowed, "",
		},
		{
			"a name without its lookup",
			"  egress:\n  - {toFQDNs: [{matchName: api.stripe.com}]}",
			stripe, policy.Denied, "never matches",
		},
		{
			"a name with a lookup that Cilium does not read",
			"  egress:" + strings.Replace(dnsRule, `"*"`, `"*.cluster.local"`, 1) +
				"  - {toFQDNs: [{matchName: api.stripe.com}]}",
			stripe, policy.Denied, "never matches",
		},
		{
			"a name is never the API server",
			"  egress:" + dnsRule + "  - {toFQDNs: [{matchName: kubernetes.default.svc}]}",
			toPort(flow.ClusterAPIServer, flow.TCP, 443), policy.Denied, "",
		},
		{
			"the API server, behind its Service",
			"  egress: [{toEntities: [kube-apiserver], toPorts: [{ports: [{port: \"6443\", protocol: TCP}]}]}]",
			apiServer, policy.Allowed, "",
		},
		{"the API server is no address", "  egress: [{toCIDRSet: [{cidr: 0.0.0.0/0}]}]", apiServer, policy.Denied, ""},
		{"the world is no pod", "  egress: [{toEntities: [world]}]", db, policy.Denied, ""},
		{"the world is every host outside", "  egress: [{toEntities: [world]}]", stripe, policy.Allowed, ""},
		{"the host is no host outside", "  egress: [{toEntities: [host]}]", stripe, policy.Denied, ""},
		{"nor pods", "  egress: [{toEntities: [host]}]", db, policy.Denied, ""},
		{
			"a process of the node",
			"  egress: [{toEntities: [host], toPorts: [{ports: [{port: \"9125\", protocol: UDP}]}]}]",
			statsd, policy.Allowed, "",
		},
		{"which is in the cluster", "  egress: [{toEntities: [cluster]}]", statsd, policy.Allowed, ""},
		{
			"and no pod, whatever its name",
			"  egress: [{toEndpoints: [{matchLabels: {app: statsd}}]}]",
			statsd, policy.Denied,
			"statsd (a process of the node, which toEntities calls host)",
		},
		{"nor all pods", "  egress: [{toEndpoints: [{}]}]", statsd, policy.Denied, ""},
		{"nor an address", "  egress: [{toCIDRSet: [{cidr: 172.17.0.1/32}]}]", statsd, policy.Denied, ""},
		{
			"the node at another port",
			"  egress: [{toEntities: [host], toPorts: [{ports: [{port: \"10250\", protocol: TCP}]}]}]",
			statsd, policy.Denied,
			"port 9125/UDP, rule 0 (host) allows 10250/TCP",
		},
		{
			"an echo request",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.9/32}], icmps: [{fields: [{type: EchoRequest}]}]}]",
			ping, policy.Allowed, "",
		},
		{
			"an echo request of the other family",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.9/32}], icmps: [{fields: [{family: IPv6, type: 128}]}]}]",
			ping, policy.Denied, "echo request",
		},
		{
			"of IPv6",
			"  egress: [{toCIDRSet: [{cidr: \"2001:db8::7/128\"}], icmps: [{fields: [{family: IPv6, type: EchoRequest}]}]}]",
			ping6, policy.Allowed, "",
		},
		{
			"another ICMP type than the rule allows",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.9/32}], icmps: [{fields: [{type: 8}]}]}]",
			clock, policy.Denied,
			"ICMP timestamp request, rule 0 (203.0.113.9/32) allows ICMP echo request",
		},
		{
			"the allowed type, by its name",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.9/32}], icmps: [{fields: [{type: Timestamp}]}]}]",
			clock, policy.Allowed, "",
		},
		{
			"an ICMP type that no flow is",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.9/32}], icmps: [{fields: [{type: 13}]}]}]",
			ping, policy.Denied, "ICMP type 13",
		},
		{"a protocol without words", "  egress: [{}]", toPort(at("203.0.113.9"), 47, 0), policy.Denied, "not IP/47"},
		{
			"an exception",
			"  egress: [{toCIDRSet: [{cidr: 203.0.113.0/24, except: [203.0.113.9/32]}]}]",
			ping, policy.Denied, "excepts",
		},
		{
			"a range by its other field",
			"  egress: [{toCIDR: [198.51.100.0/24, 203.0.113.0/24]}]",
			ping, policy.Allowed, "rule 0 (203.0.113.0/24)",
		},
		{
			"and nothing outside of it",
			"  egress: [{toCIDR: [198.51.100.0/24], toPorts: [{ports: [{port: \"443\"}]}]}]",
			toPort(at("203.0.113.9"), flow.TCP, 443), policy.Denied,
			"no rule is for 203.0.113.9; rule 0 (198.51.100.0/24) allows port 443/TCP",
		},
		{
			"pods that are not in a namespace, and all that is no pod",
			"  egress: [{toEndpoints: [{matchExpressions: [{key: io.kubernetes.pod.namespace, operator: NotIn, " +
				"values: [kube-system]}]}]}]",
			stripe, policy.Allowed, "",
		},
		{
			"in the policy's own namespace nothing else is",
			"  egress: [{toEndpoints: [{matchExpressions: [{key: app, operator: NotIn, values: [x]}]}]}]",
			stripe, policy.Denied, "",
		},
		{"no entity", "  egress: [{toEntities: [none]}]", db, policy.Denied, "no rule is for db"},
		{"all of a mesh", "  egress: [{toEntities: [cluster-mesh]}]", db, policy.Allowed, "rule 0 (cluster-mesh)"},
		{
			"every port of a protocol",
			"  egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: \"0\", protocol: TCP}]}]}]",
			db, policy.Allowed, "",
		},
		{
			"a port by its name",
			"  egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: pg, protocol: TCP}]}]}]",
			db, policy.Denied, "write the number",
		},
	} {
		f := from(checkout, row.flow)[0]
		v := c.Evaluate(Policies{ciliumPolicy(t, row.rules)}, f)
		if v.Outcome != row.want || !strings.Contains(v.Reason, row.says) {
			t.Errorf("%s: %s: %s, want %s: %q", row.reason, v.Outcome, v.Reason, row.want, row.says)
		}
	}
}

func TestLookups_ReadByAnotherPolicy(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	dns := ciliumPolicy(t, "  egress:"+dnsRule)
	dns.Name = "dns-for-all"
	name := ciliumPolicy(
		t, "  egress: [{toFQDNs: [{matchName: api.stripe.com}], toPorts: [{ports: [{port: \"443\", protocol: TCP}]}]}]",
	)
	flows := from(checkout, toPort(external("api.stripe.com", "198.51.100.1"), flow.TCP, 443))
	c, both := Dialect{alone(checkout)}, Policies{dns, name}
	for _, f := range c.Required(flows) {
		if v := c.Evaluate(both, f); v.Outcome != policy.Allowed {
			t.Errorf("%s is %s: %s", f.Target(), v.Outcome, v.Reason)
		}
	}
	if unused := c.Unused(both, flows); len(unused) > 0 {
		t.Errorf("unused: %q", unused)
	}
	if diff := cmp.Diff(both, c.Merge(both, flows)); diff != "" {
		t.Errorf("merging what is allowed changed it:\n%s", diff)
	}
}

func TestGenerate_SplitsMoreThan40Ports(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	var flows []flow.Flow
	for port := range uint16(95) {
		flows = append(flows, toPort(workload("db"), flow.TCP, 1000+port))
	}
	p := Dialect{alone(checkout)}.Generate(from(checkout, flows...))[0]
	var sizes []int
	for _, rule := range p.Spec.Egress[0].ToPorts {
		sizes = append(sizes, len(rule.Ports))
	}
	if !slices.Equal(sizes, []int{40, 40, 15}) {
		t.Errorf("entries of %v ports", sizes)
	}
}

func TestMerge_KeepsHandWrittenCiliumRules(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	p := ciliumPolicy(t,
		"  egress:"+dnsRule+`
  - {toFQDNs: [{matchPattern: "shard-*.db.example"}], toPorts: [{ports: [{port: "5432", protocol: TCP}]}]}
  - {toEntities: [cluster], toPorts: [{ports: [{port: "8080", protocol: TCP}]}]}
  - {toFQDNs: [{matchName: old.example}], toPorts: [{ports: [{port: "443", protocol: TCP}]}]}`)
	other := ciliumPolicy(t, "  egress: [{}]")
	other.Name, other.Spec.EndpointSelector = "by-hand", metav1.LabelSelector{
		MatchLabels: map[string]string{"app": "theirs"},
	}
	merged := Dialect{alone(checkout)}.Merge(Policies{other, p}, from(checkout,
		toPort(external("shard-1.db.example", "198.51.100.1"), flow.TCP, 5432),
		toPort(external("shard-22.db.example", "198.51.100.2"), flow.TCP, 5432),
		toPort(workload("cart"), flow.TCP, 8080),
		toPort(external("new.example", "198.51.100.3"), flow.TCP, 443),
	))
	if len(merged) != 2 || !cmp.Equal(merged[0], other) {
		t.Errorf("the unrelated policy changed: %s", policytest.ToYAMLs(t, merged))
	}
	var got []string
	for _, rule := range RulesOf(merged[1], policy.Egress) {
		got = append(got, describePeers(policy.Egress, rule)+" "+describeAllAllowed(rule))
	}
	want := []string{
		"pods k8s-app=kube-dns in namespace kube-system 53/ANY",
		"shard-*.db.example 5432/TCP", "cluster 8080/TCP", "new.example 443/TCP",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestMetadataService_CiliumCIDR(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	p := Dialect{alone(checkout)}.Generate(from(checkout, toPort(at("169.254.169.254"), flow.TCP, 80)))[0]
	if got := p.Annotations[policy.MetadataAnnotation]; got != "169.254.169.254:80/TCP" {
		t.Errorf("annotation %q", got)
	}
	if got := p.Spec.Egress[0].ToCIDRSet; len(got) != 1 || got[0].CIDR != "169.254.169.254/32" {
		t.Errorf("%+v", got)
	}
}

func TestNode_CiliumEntity(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	c := Dialect{alone(checkout)}
	flows := from(
		checkout, toPort(node("statsd"), flow.UDP, 9125), toPort(node("kubelet"), flow.TCP, 10250),
		toPort(node("no label!"), flow.TCP, 10250),
	)
	p := c.Generate(flows)[0]
	got := describePeers(policy.Egress, RulesOf(p, policy.Egress)[0]) + " " + describeAllAllowed(RulesOf(
		p, policy.Egress,
	)[0])
	if len(p.Spec.Egress) != 1 || got != "host 9125/UDP, 10250/TCP" {
		t.Errorf("%d rules, the first for %s", len(p.Spec.Egress), got)
	}
	if diff := cmp.Diff(c.Generate(flows), c.Merge(c.Generate(flows[:1]), flows)); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}

func TestICMP_CiliumRules(t *testing.T) {
	checkout := policy.Workload{Name: "checkout"}
	var flows []flow.Flow
	for _, f := range []flow.Flow{
		{Protocol: flow.ICMP, ICMPType: 17}, {Protocol: flow.ICMP, ICMPType: 8}, {Protocol: flow.ICMP},
		{Protocol: flow.ICMPv6, ICMPType: 128}, {Protocol: flow.ICMPv6, ICMPType: 139},
	} {
		f.Destination = workload("db")
		flows = append(flows, from(checkout, f)...)
	}
	c := Dialect{alone(checkout)}
	rule := RulesOf(c.Generate(flows)[0], policy.Egress)[0]
	got := describePeers(policy.Egress, rule) + " " + describeAllAllowed(rule)
	want := "pods app=db ICMP echo request, ICMP type 17, ICMPv6 echo request and 1 more"
	if got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for i := range flows { // from any of them to all
		if diff := cmp.Diff(c.Generate(flows), c.Merge(c.Generate(flows[i:i+1]), flows)); diff != "" {
			t.Errorf("merged (-want +got):\n%s", diff)
		}
	}
}
