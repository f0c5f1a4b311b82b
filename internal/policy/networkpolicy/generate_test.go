package networkpolicy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestGenerate_GoldenPolicy(t *testing.T) {
	for _, row := range []struct {
		name, reason string
		subject      policy.Workload
		flows        []flow.Flow
		want         string
	}{{
		name:    "no flows",
		reason:  "no egress field denies everything; egress: [{}] would allow it",
		subject: checkout,
		want: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: checkout
spec:
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
`,
	}, {
		name: "only what rules cannot say",
		reason: "a ping is listed, a workload that only pings looks no names up, " +
			"and bad names must not become rules: their address does, where they have one, which was looked up",
		subject: checkout,
		flows: []flow.Flow{
			ping(workload("cache")), tcp(workload("not a label"), 80), tcp(workload(""), 80),
			tcp(workloadIn("a/b", "cache"), 80),
			tcp(external("*.example", "203.0.113.1"), 443),
			tcp(external("a b.example", "2001:db8::1"), 443), tcp(workload("cache"), 0),
			tcp(flow.Endpoint{Kind: flow.External, Name: "a,b.example"}, 80),
			tcp(flow.Endpoint{Kind: flow.Address}, 443), tcp(flow.Endpoint{Name: "of no kind"}, 443),
		},
		want: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  annotations:
    netzero.dev/egress-other: icmp-echo cache,tcp:0 cache
  name: checkout
spec:
  egress:
  - ports:
    - port: 53
      protocol: TCP
    - port: 53
      protocol: UDP
    to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  - ports:
    - port: 443
      protocol: TCP
    to:
    - ipBlock:
        cidr: 203.0.113.1/32
  - ports:
    - port: 443
      protocol: TCP
    to:
    - ipBlock:
        cidr: 2001:db8::1/128
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
`,
	}, {
		name:   "addresses",
		reason: "a bare address is looked up nowhere: no DNS rule; the metadata service is kept and labelled",
		subject: policy.Workload{
			Name: "checkout", Namespace: "shop",
			Labels: map[string]string{"app.kubernetes.io/name": "checkout"},
		},
		flows: []flow.Flow{
			tcp(at("2001:db8::7"), 443), tcp(at("169.254.169.254"), 80), tcp(at("fe80::1%eth0"), 9000),
		},
		want: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  annotations:
    netzero.dev/egress-metadata-service: 169.254.169.254:80/TCP
  name: checkout
  namespace: shop
spec:
  egress:
  - ports:
    - port: 80
      protocol: TCP
    to:
    - ipBlock:
        cidr: 169.254.169.254/32
  - ports:
    - port: 443
      protocol: TCP
    to:
    - ipBlock:
        cidr: 2001:db8::7/128
  - ports:
    - port: 9000
      protocol: TCP
    to:
    - ipBlock:
        cidr: fe80::1/128
  podSelector:
    matchLabels:
      app.kubernetes.io/name: checkout
  policyTypes:
  - Egress
`,
	}, {
		name:    "every kind of peer",
		reason:  "one rule to a peer, kinds in their order, ports sorted, the names of the internet in one rule",
		subject: policy.Workload{Name: "checkout", Namespace: "shop"},
		flows: []flow.Flow{
			tcp(at("10.9.0.1"), 5432),
			tcp(external("ldap.corp.example", "10.9.0.1"), 636),
			udp(external("time.example", "2001:db8::123"), 123),
			tcp(external("api.stripe.com", "203.0.113.9"), 443),
			tcp(external("api.stripe.com", "203.0.113.10"), 443),
			tcp(workloadIn("data", "cache"), 6379),
			tcp(workloadIn("shop", "orders-db"), 5432),
			udp(workload("orders-db"), 5432),
			tcp(workload("orders-db"), 80),
		},
		want: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  annotations:
    netzero.dev/egress-names: api.stripe.com:443/TCP,ldap.corp.example:636/TCP,time.example:123/UDP
  name: checkout
  namespace: shop
spec:
  egress:
  - ports:
    - port: 80
      protocol: TCP
    - port: 5432
      protocol: TCP
    - port: 5432
      protocol: UDP
    to:
    - podSelector:
        matchLabels:
          app: orders-db
  - ports:
    - port: 6379
      protocol: TCP
    to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: data
      podSelector:
        matchLabels:
          app: cache
  - ports:
    - port: 53
      protocol: TCP
    - port: 53
      protocol: UDP
    to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  - ports:
    - port: 123
      protocol: UDP
    - port: 443
      protocol: TCP
    to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
        - 10.0.0.0/8
        - 127.0.0.0/8
        - 169.254.0.0/16
        - 172.16.0.0/12
        - 192.168.0.0/16
    - ipBlock:
        cidr: ::/0
        except:
        - ::1/128
        - fc00::/7
        - fe80::/10
  - ports:
    - port: 636
      protocol: TCP
    - port: 5432
      protocol: TCP
    to:
    - ipBlock:
        cidr: 10.9.0.1/32
  podSelector:
    matchLabels:
      app: checkout
  policyTypes:
  - Egress
`,
	}} {
		t.Run(row.name, func(t *testing.T) {
			policies := Dialect{alone(row.subject)}.Generate(row.flows)
			if len(policies) != 1 {
				t.Fatalf("got %d policies, want 1", len(policies))
			}
			if diff := cmp.Diff(row.want, toYAML(t, policies[0])); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.reason, diff)
			}
			if err := Validate(policies[0]); err != nil {
				t.Errorf("generated policy is not valid: %v", err)
			}
		})
	}
}

func TestGenerate_SharesNoMemory(t *testing.T) {
	subject := policy.Workload{Name: "checkout", Labels: map[string]string{"tier": "web"}}
	flows := []flow.Flow{tcp(workload("cache"), 6379)}
	want, spoiled := Dialect{alone(subject)}.Generate(flows)[0].DeepCopy(), Dialect{alone(subject)}.Generate(flows)[0]
	clear(spoiled.Spec.PodSelector.MatchLabels)
	for _, rule := range spoiled.Spec.Egress {
		for _, peer := range rule.To {
			clear(peer.PodSelector.MatchLabels)
		}
	}
	if diff := cmp.Diff(want, (Dialect{alone(subject)}).Generate(flows)[0]); diff != "" {
		t.Errorf("editing one result changed the next (-want +got):\n%s", diff)
	}
}

func TestGenerate_QuotesAmbiguousStrings(t *testing.T) {
	for _, word := range []string{"n", "yes", "on", "1", "0x1", "1e3", "null", "true", "1.5", "12_000"} {
		subject := policy.Workload{Name: word, Namespace: word}
		text := toYAML(t, Dialect{alone(subject)}.Generate(from(subject, tcp(workload(word), 80)))[0])
		var document struct {
			Metadata struct{ Name, Namespace any }
			Spec     struct {
				PodSelector struct{ MatchLabels map[string]any }
				Egress      []struct {
					To []struct {
						PodSelector struct{ MatchLabels map[string]any }
					}
				}
			}
		}
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatalf("read policy of %q: %v", word, err)
		}
		got := []any{
			document.Metadata.Name, document.Metadata.Namespace,
			document.Spec.PodSelector.MatchLabels["app"],
			document.Spec.Egress[0].To[0].PodSelector.MatchLabels["app"],
		}
		if diff := cmp.Diff([]any{word, word, word, word}, got); diff != "" {
			t.Errorf("%q became something else (-want +got):\n%s\n%s", word, diff, text)
		}
	}
}
