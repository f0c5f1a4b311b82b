package policydiff

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/golden"
)

func parse(t *testing.T, text string) []golden.Policy {
	t.Helper()
	policies, err := Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return policies
}

// kubernetes returns a NetworkPolicy of checkout, from its annotations and the fields after podSelector in flow style.
func kubernetes(annotations, fields string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: checkout, annotations: {" +
		annotations + "}}\nspec: {podSelector: {matchLabels: {app: checkout}}, " + fields + "}\n"
}

// egress returns a NetworkPolicy of checkout with these egress rules.
func egress(rules string) string { return kubernetes("", "policyTypes: [Egress], egress: ["+rules+"]") }

// ofCilium returns a CiliumNetworkPolicy of checkout with these fields.
func ofCilium(fields string) string {
	return "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n" +
		"spec: {endpointSelector: {matchLabels: {app: checkout}}, " + fields + "}\n"
}

// lines returns what the text for a terminal says.
func lines(t *testing.T, files ...File) []string {
	t.Helper()
	var b strings.Builder
	if err := WriteText(&b, files); err != nil {
		t.Fatal(err)
	}
	if b.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

type row struct {
	reason, before, after string
	want                  []string
}

func compareRows(t *testing.T, rows []row) {
	for _, r := range rows {
		t.Run(r.reason, func(t *testing.T) {
			got := lines(t, File{Subjects: Compare(parse(t, r.before), parse(t, r.after))})
			if diff := cmp.Diff(r.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			same := Compare(parse(t, r.after), parse(t, r.after))
			if diff := cmp.Diff([]string(nil), lines(t, File{Subjects: same})); diff != "" {
				t.Errorf("a policy differs from itself (-want +got)\n%s", diff)
			}
		})
	}
}

const (
	toDB    = "{to: [{podSelector: {matchLabels: {app: orders-db}}}], ports: [{port: 5432}]}"
	toDNS   = "{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}"
	private = "except: [10.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]"
	toWeb   = "{to: [{ipBlock: {cidr: 0.0.0.0/0, " + private + "}}, {ipBlock: {cidr: '::/0', " +
		"except: ['::1/128', 'fc00::/7', 'fe80::/10']}}], ports: [{port: 443}]}"
)

func TestCompare_NetworkPolicies(t *testing.T) {
	names := func(list string) string {
		return kubernetes("netzero.dev/egress-names: '"+list+"'", "policyTypes: [Egress], egress: ["+toWeb+"]")
	}
	to := func(peer, ports string) string { return egress("{to: [" + peer + "], ports: [" + ports + "]}") }
	compareRows(t, []row{
		{"a peer", egress(toDB), egress(toDB + ", " + toDNS), []string{
			"checkout", "  + checkout may now reach all pods in all namespaces on 53/TCP, 53/UDP (egress)",
		}},
		{"another order", egress(toDB + ", " + toDNS), egress(toDNS + ", " + toDB), nil},
		{"a rule in two",
			egress("{to: [{podSelector: {matchLabels: {app: a}}}, {podSelector: {matchLabels: {app: b}}}], ports: [{port: 1}]}"),
			egress("{to: [{podSelector: {matchLabels: {app: b}}}], ports: [{port: 1}]}, " +
				"{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 1}]}"), nil},
		{"ports and the range of them", to("{podSelector: {}}", "{port: 80}, {port: 81}"),
			to("{podSelector: {}}", "{port: 80, endPort: 81}"), nil},
		{"a wider range", to("{podSelector: {}}", "{port: 80}, {port: 81}"),
			to("{podSelector: {}}", "{port: 80, endPort: 90}"),
			[]string{"checkout", "  + checkout may now reach all pods on 82-90/TCP (egress)"}},
		{"a default that is written", egress("{to: [{podSelector: {}}], ports: [{port: 80}]}"),
			egress("{to: [{podSelector: {}}], ports: [{port: 80, protocol: TCP}]}"), nil},
		{"a value more in a list",
			to("{podSelector: {matchExpressions: [{key: app, operator: In, values: [a]}]}}", "{port: 1}"),
			to("{podSelector: {matchExpressions: [{key: app, operator: In, values: [b, a]}]}}", "{port: 1}"),
			[]string{"checkout", "  + checkout may now reach b on 1/TCP (egress)"}},
		{"a label and a list of one value", to("{podSelector: {matchLabels: {app: a}}}", "{port: 1}"),
			to("{podSelector: {matchExpressions: [{key: app, operator: In, values: [a]}]}}", "{port: 1}"), nil},
		{"a narrower peer", to("{podSelector: {}}", "{port: 1}"), to("{podSelector: {matchLabels: {app: a}}}", "{port: 1}"),
			[]string{"checkout", "  - checkout may no longer reach all pods on 1/TCP, except a (egress)"}},
		{"a peer that a wider one covers", to("{podSelector: {}}", "{port: 1}"),
			to("{podSelector: {}}, {podSelector: {matchLabels: {app: a}}}", "{port: 1}"), nil},
		{"every port", egress("{to: [{podSelector: {}}], ports: [{port: 80}]}"), egress("{to: [{podSelector: {}}]}"),
			[]string{"checkout", "  + checkout may now reach all pods on 1-79/TCP, " +
				"81-65535/TCP, all UDP ports, all SCTP ports (egress)"}},
		{"two halves of a range", to("{ipBlock: {cidr: 10.0.0.0/8}}", "{port: 1}"),
			to("{ipBlock: {cidr: 10.0.0.0/9}}, {ipBlock: {cidr: 10.128.0.0/9}}", "{port: 1}"), nil},
		{"an exception", to("{ipBlock: {cidr: 10.0.0.0/8}}", "{port: 1}"),
			to("{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}", "{port: 1}"),
			[]string{"checkout", "  - checkout may no longer reach 10.1.0.0/16 on 1/TCP (egress)"}},
		{"an exception that is allowed elsewhere",
			to("{ipBlock: {cidr: 10.0.0.0/8}}", "{port: 1}"),
			to("{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.1.0.0/16}}", "{port: 1}"), nil},
		{"a name", names("a.example:443/TCP"), names("a.example:443/TCP,b.example:443/TCP"),
			[]string{"checkout", "  + checkout may now reach b.example on 443/TCP (egress)"}},
		{"a pattern that covers a name", names("a.example:443/TCP,*.example:443/TCP"), names("*.example:443/TCP"), nil},
		{"no list of names any more", names("a.example:443/TCP"), egress(toWeb),
			[]string{"checkout", "  + checkout may now reach the internet on 443/TCP (egress)"}},
		{"a list of names", egress(toWeb), names("a.example:443/TCP"), []string{"checkout",
			"  - checkout may no longer reach the internet on 443/TCP, except a.example (egress)"}},
		{"a port of the API server",
			egress(toDB), kubernetes("netzero.dev/egress-api-server: 6443/TCP",
				"policyTypes: [Egress], egress: ["+toDB+", {ports: [{port: 6443}]}]"),
			[]string{"checkout", "  + checkout may now reach the API server on 6443/TCP (egress)"}},
		{"a flow without a rule", egress(toDB),
			kubernetes("netzero.dev/egress-other: icmp-echo orders-db", "policyTypes: [Egress], egress: ["+toDB+"]"),
			[]string{"checkout", "  + checkout may now send icmp-echo to orders-db, by an annotation (egress)"}},
		{"a program", kubernetes("netzero.dev/binaries: curl", "policyTypes: [Egress]"),
			kubernetes("netzero.dev/binaries: 'curl,psql'", "policyTypes: [Egress]"),
			[]string{"checkout", "  + checkout may now open connections with the program psql (egress)"}},
		{"the first policy", "", egress(toDB + ", " + toDNS), []string{"checkout", "  - checkout could reach everything, " +
			"and now egress rules allow only all pods in all namespaces on 53/TCP, 53/UDP; orders-db on 5432/TCP (egress)"}},
		{"a policy that denies everything", "", egress(""), []string{"checkout",
			"  - checkout could reach everything, and now egress rules allow nothing (egress)"}},
		{"no policy any more", egress(toDB), "", []string{"checkout", "  + checkout may now reach everything: " +
			"before, egress rules allowed only orders-db on 5432/TCP (egress)"}},
		{"the type Ingress", egress(toDB), kubernetes("", "policyTypes: [Egress, Ingress], egress: ["+toDB+"]"),
			[]string{"checkout", "  - checkout could be reached by everything, and now ingress rules allow nothing (ingress)"}},
		{"a caller", kubernetes("", "policyTypes: [Ingress]"),
			kubernetes("", "policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: "+
				"{kubernetes.io/metadata.name: edge}}, podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]"),
			[]string{"checkout", "  + web in namespace edge may now reach checkout on http/TCP (ingress)"}},
		{"a policy for a subject that another one isolates", denyAll, denyAll + "---\n" + egress(toDB),
			[]string{"checkout", "  + checkout may now reach orders-db on 5432/TCP (egress)"}},
		{"a rule moves to another policy for the same pods", egress(toDB + ", " + toDNS),
			egress(toDB) + "---\n" + strings.ReplaceAll(egress(toDNS), "name: checkout", "name: dns"), nil},
		{"all pods, and one of them",
			denyAll, strings.Replace(denyAll, "[Egress]", "[Egress, Ingress]", 1) + "---\n" + egress(""),
			[]string{"all pods", "  - all pods could be reached by everything, and now ingress rules allow nothing (ingress)"}},
		{"a namespace", egress(toDB), strings.ReplaceAll(egress(toDB), "name: checkout", "name: checkout, namespace: shop"),
			[]string{"checkout", "  + checkout may now reach everything: before, egress rules allowed only " +
				"orders-db on 5432/TCP (egress)", "", "checkout in namespace shop",
				"  - checkout could reach everything, and now egress rules allow only orders-db on 5432/TCP (egress)"}},
		{"a port that stands for DNS is covered, and its meaning is lost",
			egress("{to: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 53, protocol: UDP}]}, " +
				"{to: [{podSelector: {matchLabels: {app: a}}}]}"),
			egress("{to: [{podSelector: {matchLabels: {app: a}}}]}"),
			[]string{"checkout", "  - checkout may no longer reach the cluster's DNS on 53/UDP (egress)"}},
	})
}

const denyAll = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny}\n" +
	"spec: {podSelector: {}, policyTypes: [Egress]}\n"

func TestCompare_Requests(t *testing.T) {
	to := func(rules string) string {
		return "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: checkout}\n" +
			"spec: {endpointSelector: {matchLabels: {'k8s:app': checkout}}, egress: [{toEndpoints: [{matchLabels: " +
			"{'k8s:app': billing}}], toPorts: [{ports: [{port: '8080', protocol: TCP}]" + rules + "}]}]}\n"
	}
	const charge, invoice = "{path: '/charge(\\?.*)?', method: POST}", "{path: '/invoices/[0-9]+(\\?.*)?', method: GET}"
	compareRows(t, []row{
		{"a request", to(", rules: {http: [" + charge + "]}"), to(", rules: {http: [" + charge + ", " + invoice + "]}"),
			[]string{"checkout",
				"  + checkout may now reach billing with GET /invoices/{digits} on 8080/TCP (egress)"}},
		{"another order", to(", rules: {http: [" + invoice + ", " + charge + "]}"),
			to(", rules: {http: [" + charge + ", " + invoice + "]}"), nil},
		{"every request, by a rule", to(", rules: {http: [{}]}"), to(""), nil},
		{"only some requests", to(""), to(", rules: {http: [" + charge + "]}"), []string{"checkout",
			"  - checkout may no longer reach billing on 8080/TCP, except billing with POST /charge (egress)"}},
		{"every request", to(", rules: {http: [" + charge + "]}"), to(""),
			[]string{"checkout", "  + checkout may now reach billing on 8080/TCP (egress)"}},
	})
}

func TestCompare_CiliumNetworkPolicies(t *testing.T) {
	const toCache = "{toEndpoints: [{matchLabels: {'k8s:app': cache}}], " +
		"toPorts: [{ports: [{port: '6379', protocol: TCP}]}]}"
	dns := func(pattern string) string {
		return "{toEndpoints: [{matchLabels: {k8s-app: kube-dns, 'k8s:io.kubernetes.pod.namespace': kube-system}}], " +
			"toPorts: [{ports: [{port: '53', protocol: ANY}], rules: {dns: [{matchPattern: '" + pattern + "'}]}}]}"
	}
	toName := func(name string) string {
		return "{toFQDNs: [" + name + "], toPorts: [{ports: [{port: '443', protocol: TCP}]}]}"
	}
	compareRows(t, []row{
		{"the source of a label", ofCilium("egress: [" + toCache + "]"),
			ofCilium("egress: [" + strings.ReplaceAll(toCache, "k8s:", "") + "]"), nil},
		{"a name", ofCilium("egress: [" + dns("*") + "]"),
			ofCilium("egress: [" + dns("*") + ", " + toName("{matchName: API.example.}") + "]"),
			[]string{"checkout", "  + checkout may now reach api.example on 443/TCP (egress)"}},
		{"a pattern that covers a name",
			ofCilium("egress: [" + dns("*") + ", " + toName("{matchName: a.example}, {matchPattern: '*.example'}") + "]"),
			ofCilium("egress: [" + dns("*") + ", " + toName("{matchPattern: '*.example'}") + "]"), nil},
		{"lookups", ofCilium("egress: [" + dns("*") + "]"), ofCilium("egress: [" + dns("*.example") + "]"),
			[]string{"checkout", "  - checkout may no longer reach kube-dns in namespace kube-system on 53/ANY, " +
				"except kube-dns in namespace kube-system for lookups of *.example (egress)"}},
		{"every protocol", ofCilium("egress: [{toEntities: [world], toPorts: [{ports: [{port: '53'}]}]}]"),
			ofCilium("egress: [{toEntities: [world], toPorts: [{ports: [{port: '53', protocol: TCP}, " +
				"{port: '53', protocol: UDP}, {port: '53', protocol: SCTP}]}]}]"), nil},
		{"an entity", ofCilium("egress: [{}]"), ofCilium("egress: [{toEntities: [kube-apiserver]}]"),
			[]string{"checkout", "  + checkout may now reach the API server on every port and protocol (egress)"}},
		{"a name in the internet that is open", ofCilium("egress: [{toEntities: [world]}, " + dns("*") + "]"),
			ofCilium("egress: [{toEntities: [world]}, " + dns("*") + ", " + toName("{matchName: a.example}") + "]"), nil},
		{"a deny rule", ofCilium("egress: [" + toCache + "]"),
			ofCilium("egress: [" + toCache + "], egressDeny: [{toCIDR: [203.0.113.0/24]}]"),
			[]string{"checkout",
				"  - a deny rule now keeps checkout from reaching 203.0.113.0/24 on every port and protocol (egress)"}},
		{"a deny rule less", ofCilium("ingress: [{}], ingressDeny: [{fromEntities: [world]}]"), ofCilium("ingress: [{}]"),
			[]string{"checkout",
				"  + no deny rule keeps the internet from reaching checkout on every port and protocol any more (ingress)"}},
		{"no default deny", ofCilium("egress: [" + toCache + "]"),
			ofCilium("enableDefaultDeny: {egress: false}, egress: [" + toCache + "]"),
			[]string{"checkout", "  + checkout may now reach everything: " +
				"before, egress rules allowed only cache on 6379/TCP (egress)"}},
		{"a rule without default deny", ofCilium("enableDefaultDeny: {egress: false}, egress: [{}]"),
			ofCilium("enableDefaultDeny: {egress: false}, egress: [" + toCache + "]"), []string{"checkout",
				"  + checkout may now reach cache on 6379/TCP where another policy isolates these pods (egress)"}},
		{"ICMP by number and by name", ofCilium("egress: [{icmps: [{fields: [{type: 8}]}]}]"),
			ofCilium("egress: [{icmps: [{fields: [{type: EchoRequest, family: IPv4}]}]}]"), nil},
		{"ICMP", ofCilium("egress: [{}]"), ofCilium("egress: [{icmps: [{fields: [{type: 8}]}]}]"),
			[]string{"checkout", "  + checkout may now reach any destination on ICMP echo request (egress)"}},
		{"a spec and a list of specs", ofCilium("egress: [" + toCache + "]"),
			strings.Replace(ofCilium("egress: ["+toCache+"]"), "spec: ", "specs:\n- ", 1), nil},
		{"another dialect", egress(toDB), ofCilium("egress: [" + toCache + "]"), []string{
			"checkout", "  - checkout could reach everything, and now egress rules allow only cache on 6379/TCP (egress)", "",
			"checkout",
			"  + checkout may now reach everything: before, egress rules allowed only orders-db on 5432/TCP (egress)"}},
	})
}
