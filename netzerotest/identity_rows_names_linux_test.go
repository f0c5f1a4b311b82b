package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// nameRows are about names from the client or from DNS.
var nameRows = []identityRow{
	{
		dialled:    "`redis`",
		known:      "Service `redis` in the caller's namespace and in another",
		kubernetes: "app=cache: 6379/TCP",
		cilium:     "app=cache in web: 6379/TCP",
		why:        "A pod's search list begins with its own namespace.",
		scene:      shopScene(lookedUp("redis", 6379)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db`",
		known:      "the Service is in namespace `shop` only, the caller in `web`",
		kubernetes: "app=db in shop: 5432/TCP; a notice",
		why:        "The test reached it; a pod needs `orders-db.shop`, as the notice says.",
		scene:      shopScene(lookedUp("orders-db", 5432)),
		notice:     "look up orders-db.shop",
		tests:      []string{"TestNames_AsInCluster"},
	},
	{
		dialled: "`search`", known: "no manifests, or none that have it", kubernetes: "app=search: 9200/TCP",
		why:   "A name without a dot is a Service's, and its pods mostly have the label.",
		scene: bareScene(lookedUp("search", 9200)), tests: []string{"TestByName_ClusterNames"},
	},
	{
		dialled: "`orders-db.shop`", known: "the manifests have the Service", kubernetes: "app=db in shop: 5432/TCP",
		why:   "A pod's search list has `svc.cluster.local`.",
		scene: shopScene(lookedUp("orders-db.shop", 5432)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db.shop`",
		known:      "no manifests",
		kubernetes: "internet: 5432/TCP; egress-names: orders-db.shop:5432/TCP",
		cilium:     "toFQDNs orders-db.shop: 5432/TCP",
		why:        "A name with a dot may be an external host.",
		scene:      bareScene(lookedUp("orders-db.shop", 5432)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`redis.io`",
		known:      "the manifests have Service `redis`, and no namespace `io`",
		kubernetes: "internet: 443/TCP; egress-names: redis.io:443/TCP",
		cilium:     "toFQDNs redis.io: 443/TCP",
		why:        "The namespace has to exist.",
		scene:      shopScene(lookedUp("redis.io", 443)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db-0.orders-db`",
		known:      "a StatefulSet's pod in the caller's namespace",
		kubernetes: "app=db: 5432/TCP",
		cilium:     "app=db in shop: 5432/TCP",
		why:        "Policies select pods by labels, which all pods of the set have.",
		scene: scene{
			options:   []Option{Namespace("shop")},
			manifests: manifesttest.Shop,
			dials:     []dial{lookedUp("orders-db-0.orders-db", 5432)},
		},
		tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db-0.orders-db.shop`",
		known:      "the same in another namespace",
		kubernetes: "app=db in shop: 5432/TCP",
		why:        "The same.",
		scene:      shopScene(lookedUp("orders-db-0.orders-db.shop", 5432)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled: "`orders-db-0.orders-db.shop.svc`", known: "the same", kubernetes: "app=db in shop: 5432/TCP",
		why:   "The same.",
		scene: shopScene(lookedUp("orders-db-0.orders-db.shop.svc", 5432)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db.shop.svc.cluster.local`",
		known:      "nothing else",
		kubernetes: "app=orders-db in shop: 5432/TCP",
		why:        "Only a cluster answers it.",
		scene:      bareScene(lookedUp("orders-db.shop.svc.cluster.local", 5432)),
		tests:      []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db.shop.svc.k8s.acme.io`",
		known:      "`ClusterDomain(\"k8s.acme.io\")`",
		kubernetes: "app=orders-db in shop: 5432/TCP",
		why:        "The cluster has that domain.",
		scene: scene{
			options: []Option{ClusterDomain("k8s.acme.io")},
			dials:   []dial{lookedUp("orders-db.shop.svc.k8s.acme.io", 5432)},
		},
		tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db.shop.svc.k8s.acme.io`",
		known:      "the search list of the caller's resolver has that domain",
		kubernetes: "app=orders-db in shop: 5432/TCP",
		why:        "The cluster has that domain.",
		onlyTests:  true, tests: []string{"TestByName_SearchListDomain"},
	},
	{
		dialled:    "`orders-db.shop.svc.k8s.example.com`",
		known:      "the manifests have the Service",
		kubernetes: "app=db in shop: 5432/TCP",
		why:        "The manifests know the name.",
		scene:      shopScene(lookedUp("orders-db.shop.svc.k8s.example.com", 5432)),
		tests:      []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`orders-db.shop.svc.k8s.example.com`",
		known:      "nothing",
		kubernetes: "internet: 5432/TCP; egress-names: orders-db.shop.svc.k8s.example.com:5432/TCP",
		cilium:     "toFQDNs orders-db.shop.svc.k8s.example.com: 5432/TCP",
		why:        "It may be an external host.",
		scene:      bareScene(lookedUp("orders-db.shop.svc.k8s.example.com", 5432)),
		tests:      []string{"TestNames_AsInCluster"},
	},
	{
		dialled: "`orders-db.shop.svc.k8s.internal`", known: "nothing", kubernetes: "app=orders-db in shop: 5432/TCP",
		why:   "No host of the internet has that domain.",
		scene: bareScene(lookedUp("orders-db.shop.svc.k8s.internal", 5432)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`basket`",
		known:      "ExternalName to `redis.shop.svc.cluster.local`",
		kubernetes: "app=redis in shop: 6379/TCP",
		why:        "A CNAME is followed.",
		scene:      shopScene(lookedUp("basket", 6379)),
		tests:      []string{"TestNames_AsInCluster", "TestFind_ExternalName"},
	},
	{
		dialled:    "`payments.web`",
		known:      "ExternalName to `api.stripe.com`",
		kubernetes: "internet: 443/TCP; egress-names: api.stripe.com:443/TCP",
		cilium:     "toFQDNs api.stripe.com: 443/TCP",
		why:        "A CNAME is followed.",
		scene:      shopScene(lookedUp("payments.web", 443)),
		tests:      []string{"TestNames_AsInCluster", "TestFind_ExternalName"},
	},
	{
		dialled:    "`legacy.web:80`",
		known:      "a Service without selector, with the Endpoints 10.20.0.7:8080",
		kubernetes: "10.20.0.7/32: 8080/TCP",
		why:        "There are no pods to select. The name is still looked up.",
		scene:      shopScene(lookedUp("legacy.web", 80)), tests: []string{"TestNames_AsInCluster"},
	},
	{
		dialled:    "`api.stripe.com`",
		known:      "nothing",
		kubernetes: "internet: 443/TCP; egress-names: api.stripe.com:443/TCP",
		cilium:     "toFQDNs api.stripe.com: 443/TCP",
		why:        "An external host: its addresses change, its name does not.",
		scene:      bareScene(lookedUp("api.stripe.com", 443)),
		tests:      []string{"TestScripts/names", "TestScripts/names_servername"},
	},
	{
		dialled:    "`api.stripe.com`, without an answer",
		known:      "it was looked up, and got no address",
		kubernetes: "egress-names: api.stripe.com:*",
		why:        "Its port is not known; only the lookup is allowed.",
		scene:      bareScene(dial{name: "api.stripe.com"}), tests: []string{"TestScripts/lookups_failed"},
	},
	{
		dialled:    "a fake on localhost",
		known:      "`Peer(addr, \"migrate:8080\")`; the manifests have a Job with `generateName: migrate-`",
		kubernetes: "app=migrate: 8080/TCP; a notice",
		why:        "The API server generates the name, so no test knows it. The notice lists the names that exist.",
		scene: scene{
			manifests: manifesttest.Orders + "---\n{apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-}, " +
				"spec: {template: {metadata: {labels: {app: m}}, spec: {containers: [{name: m}]}}}}\n",
			options: []Option{Peer("127.0.0.1:43121", "migrate:8080")},
			dials:   []dial{{addr: "127.0.0.1", port: 43121, listener: "checkout.test"}},
		},
		notice: "its label is taken to be app=migrate", tests: []string{"TestRead_GenerateName"},
	},
}

// apiServerRows are about the API server, and other pods that no selector selects.
var apiServerRows = []identityRow{
	{
		dialled: "`kubernetes.default.svc:443`", known: "no Endpoints in the manifests",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "It runs on nodes, where no selector finds it. Network plugins see its own port.",
		scene:      bareScene(lookedUp("kubernetes.default.svc", 443)),
		notice:     "no pod selector matches the API server", tests: []string{"TestAPIServer_Rules"},
	},
	{
		dialled: "`kubernetes.default:443`", known: "the same",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "A form of its name.",
		scene:      bareScene(lookedUp("kubernetes.default", 443)),
		notice:     "no pod selector matches the API server", tests: []string{"TestAPIServer_Names"},
	},
	{
		dialled: "`kubernetes.default.svc.k8s.example.com:443`", known: "the same",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "A form of its name, with any domain.",
		scene:      bareScene(lookedUp("kubernetes.default.svc.k8s.example.com", 443)),
		notice:     "no pod selector matches the API server", tests: []string{"TestAPIServer_Names"},
	},
	{
		dialled: "`kubernetes:443`", known: "the same",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "A form of its name.",
		scene:      bareScene(lookedUp("kubernetes", 443)),
		notice:     "no pod selector matches the API server", tests: []string{"TestAPIServer_Names"},
	},
	{
		dialled:    "`kubernetes:443`",
		known:      "the caller's namespace has a Service of that name with a selector",
		kubernetes: "app=kube-ui: 443/TCP",
		cilium:     "app=kube-ui in shop: 443/TCP",
		why:        "A pod's search list begins with its own namespace.",
		scene: scene{
			options:   []Option{Namespace("shop")},
			manifests: manifesttest.KubernetesInShop,
			dials:     []dial{lookedUp("kubernetes", 443)},
		},
		tests: []string{"TestAPIServer_Rules"},
	},
	{
		dialled: "`kubernetes.default.svc:443`", known: "the manifests have its Endpoints, or EndpointSlices",
		kubernetes: "172.18.0.2/32: 6443/TCP; 172.18.0.3/32: 6443/TCP", cilium: "toEntities kube-apiserver: 6443/TCP",
		why: "In Cilium a CIDR never matches a node.",
		scene: scene{manifests: manifesttest.APIService + manifesttest.APIEndpoints,
			dials: []dial{lookedUp("kubernetes.default.svc", 443)}},
		tests: []string{"TestAPIServer_Rules", "TestAPIServer_Addresses"},
	},
	{
		dialled: "`kubernetes.default.svc`, without an answer", known: "it was looked up, and got no address",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "It has one port.",
		scene:      bareScene(dial{name: "kubernetes.default.svc"}),
		notice:     "no pod selector matches the API server", tests: []string{"TestAPIServer_Rules"},
	},
	{
		dialled:    "container `kubernetes`, at its port 443",
		known:      "the manifests have the API server's Endpoints",
		kubernetes: "172.18.0.2/32: 6443/TCP; 172.18.0.3/32: 6443/TCP",
		cilium:     "toEntities kube-apiserver: 6443/TCP",
		why:        "The manifests have that name.",
		scene: scene{
			manifests:  manifesttest.APIService + manifesttest.APIEndpoints,
			containers: []sceneContainer{{alias: "kubernetes", isPeer: true}},
			dials:      []dial{{addr: "CONTAINER0", port: 443}},
		},
		tests: []string{"TestAPIServer_Rules"},
	},
	{
		dialled:    "`kubernetes.default.svc:443`",
		known:      "a person wrote an ipBlock, a range or a rule without peers, at 443, 6443 or 8443",
		kubernetes: "allowed, and kept",
		why:        "Each of them works in some cluster.",
		onlyTests:  true, tests: []string{"TestAPIServer_HandWrittenRules"},
	},
	{
		dialled: "`localhost:6443`", known: "`Peer(addr, \"kubernetes.default.svc\")`",
		kubernetes: "all addresses: 6443/TCP; egress-api-server: 6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 6443/TCP",
		why:        "`Peer` says so. 6443 and 8443 are ports of API servers.",
		scene: scene{
			options: []Option{Peer("127.0.0.1:6443", "kubernetes.default.svc")},
			dials:   []dial{{addr: "127.0.0.1", port: 6443, listener: "checkout.test"}},
		},
		notice: "no pod selector matches the API server",
		tests:  []string{"TestAPIServer_Peers", "TestAPIServer_Rules"},
	},
	{
		dialled:    "`10.96.0.1:443`",
		known:      "`KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` of the process that connects",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "Clients in pods find it that way.",
		scene: scene{
			env:   map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"},
			dials: []dial{{addr: "10.96.0.1", port: 443}},
		},
		notice: "no pod selector matches the API server",
		tests:  []string{"TestAPIServer_OnThisMachine", "TestAPIServer_Environment"},
	},
	{
		dialled: "`localhost:43121`", known: "process `kube-apiserver` listens there, as envtest starts it",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP; a notice",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "It is recognised by its executable; the test's port means nothing in a cluster.",
		scene:      bareScene(dial{addr: "127.0.0.1", port: 43121, listener: "kube-apiserver"}),
		notice:     "no pod selector matches the API server", tests: []string{"TestAPIServer_OnThisMachine"},
	},
	{
		dialled:    "etcd on localhost, by that `kube-apiserver`",
		known:      "the program that opened it",
		kubernetes: "nothing; a notice",
		why:        "The control plane's own traffic is not the test's.",
		scene: bareScene(dial{
			addr: "127.0.0.1", port: 2379, listener: "etcd", process: flow.Process{PID: sceneOthers + 1, Name: "kube-apiserver"},
		}),
		notice: "infrastructure, not in the policy: the API server that the test runs",
	},
	{
		dialled: "`agent.monitoring:9100`", known: "the manifests: a DaemonSet with hostNetwork",
		kubernetes: "all addresses: 9100/TCP; egress-host-network: agent.monitoring.svc:9100/TCP; a notice",
		cilium:     "toEntities host, remote-node: 9100/TCP; a notice",
		why:        "No selector finds its pods.",
		scene:      scene{manifests: manifesttest.Agent, dials: []dial{lookedUp("agent.monitoring", 9100)}},
		notice:     "use the network of their nodes (hostNetwork)",
		tests:      []string{"TestHostNetwork_Rules", "TestHostNetwork_NeedsBothEntities"},
	},
	{
		dialled:    "container `orders-db`, by container `agent`",
		known:      "the manifests: `agent` has hostNetwork; the policy of `orders-db`",
		kubernetes: "from anyone: 5432/TCP; ingress-host-network: agent.monitoring.svc:5432/TCP; a notice",
		cilium:     "fromEntities host, remote-node: 5432/TCP; a notice",
		why:        "The same.",
		scene: scene{
			manifests:  manifesttest.Agent + manifesttest.Orders,
			containers: []sceneContainer{{alias: "orders-db"}, {alias: "agent"}},
			dials:      []dial{{from: "agent", addr: "CONTAINER0", port: 5432}},
		},
		of:     "orders-db",
		shows:  showsIngress,
		notice: "use the network of their nodes (hostNetwork)",
		tests:  []string{"TestHostNetwork_Rules"},
	},
}

// addressRows are about the cluster's DNS, and destinations without a name.
var addressRows = []identityRow{
	{
		dialled: "a resolver: `127.0.0.53:53`, or a name server of resolv.conf", known: "no `Resolver`",
		kubernetes: "k8s-app=kube-dns in kube-system: 53/TCP, 53/UDP",
		cilium:     "k8s-app=kube-dns in kube-system: 53/ANY with rules.dns",
		why:        "The cluster's DNS, as most clusters have it.",
		scene:      bareScene(dial{addr: "127.0.0.53", port: 53, protocol: flow.UDP}),
		shows:      showsAll,
		tests:      []string{"TestResolvers_LoopbackPort53", "TestResolvers_Rules"},
	},
	{
		dialled: "any name: `search:9200`", known: "no `Resolver`",
		kubernetes: "app=search: 9200/TCP; k8s-app=kube-dns in kube-system: 53/TCP, 53/UDP",
		cilium:     "app=search: 9200/TCP; k8s-app=kube-dns in kube-system: 53/ANY with rules.dns",
		why:        "Pods look names up, whatever the test did. The report counts this as one dependency.",
		scene:      bareScene(lookedUp("search", 9200)),
		shows:      showsAll,
		tests:      []string{"TestResolvers_Rules", "TestScripts/report_destinations"},
	},
	{
		dialled: "any name: `search:9200`", known: "`Resolver` as for GKE Autopilot, with NodeLocal DNSCache",
		kubernetes: "app=search: 9200/TCP; k8s-app=kube-dns in kube-system: 53/TCP, 53/UDP; 169.254.20.10/32: " +
			"53/TCP, 53/UDP",
		cilium: "app=search: 9200/TCP; k8s-app=kube-dns in kube-system: 53/ANY with rules.dns; 169.254.20.10/32: " +
			"53/ANY with rules.dns",
		why: "NodeLocal DNSCache is no pod.",
		scene: scene{
			options: []Option{
				Resolver(
					DNS{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}},
					DNS{Addresses: []string{"169.254.20.10"}},
				),
			},
			dials: []dial{lookedUp("search", 9200)},
		},
		shows: showsAll, tests: []string{"TestResolvers_Rules"},
	},
	{
		dialled: "any name: `search:9200`", known: "`Resolver` as for OpenShift",
		kubernetes: "app=search: 9200/TCP; dns.operator.openshift.io/daemonset-dns=default in openshift-dns: " +
			"5353/TCP, 5353/UDP",
		cilium: "app=search: 9200/TCP; dns.operator.openshift.io/daemonset-dns=default in openshift-dns: 5353/ANY " +
			"with rules.dns",
		why: "Policies see the pods' port, 5353, not the Service's.",
		scene: scene{
			options: []Option{
				Resolver(DNS{
					Namespace: "openshift-dns", Ports: []uint16{5353},
					Labels: map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"},
				}),
			},
			dials: []dial{lookedUp("search", 9200)},
		},
		shows: showsAll, tests: []string{"TestResolvers_Rules"},
	},
	{
		dialled: "an external host: `api.stripe.com:443`", known: "no `Resolver`",
		kubernetes: "k8s-app=kube-dns in kube-system: 53/TCP, 53/UDP; internet: 443/TCP; egress-names: " +
			"api.stripe.com:443/TCP",
		cilium: "k8s-app=kube-dns in kube-system: 53/ANY with rules.dns; toFQDNs api.stripe.com: 443/TCP",
		why:    "Cilium knows a host's addresses from the answers that it reads.",
		scene:  bareScene(lookedUp("api.stripe.com", 443)),
		shows:  showsAll,
		tests:  []string{"TestResolvers_Rules"},
	},
	{
		dialled:    "`203.0.113.7`, by a ping",
		known:      "ICMP echo",
		kubernetes: "egress-other: icmp-echo 203.0.113.7",
		cilium:     "203.0.113.7/32: ICMP type 8; no DNS",
		why:        "A NetworkPolicy cannot express ICMP; only NetZero compares it.",
		scene:      bareScene(dial{addr: public, protocol: flow.ICMP, icmpType: 8}),
		tests:      []string{"TestScripts/protocols_other"},
	},
	{
		dialled: "`224.0.0.251:5353`", known: "multicast that stays on the link", kubernetes: "nothing; a notice",
		why:    "No cluster carries it.",
		scene:  bareScene(dial{addr: "224.0.0.251", port: 5353, protocol: flow.UDP}),
		notice: "multicast DNS",
	},
	{
		dialled: "`203.0.113.7:443`", known: "nothing but the address", kubernetes: "203.0.113.7/32: 443/TCP; no DNS",
		why:   "It was dialled as an address, so no name is looked up.",
		scene: bareScene(dial{addr: public, port: 443}), tests: []string{"TestScripts/destinations_addresses"},
	},
	{
		dialled:    "`10.20.0.7:5432`",
		known:      "nothing but the address, which is private",
		kubernetes: "10.20.0.7/32: 5432/TCP; no DNS",
		why:        "The same.",
		scene:      bareScene(dial{addr: "10.20.0.7", port: 5432}), tests: []string{"TestScripts/destinations_addresses"},
	},
	{
		dialled:    "`169.254.169.254:80`",
		known:      "the metadata service of clouds",
		kubernetes: "169.254.169.254/32: 80/TCP; no DNS; egress-metadata-service: 169.254.169.254:80/TCP",
		why:        "It serves credentials: the annotation says that the access is intended.",
		scene:      bareScene(dial{addr: "169.254.169.254", port: 80}),
	},
}

// podRows are about the pods and ports that the manifests have for a workload.
var podRows = []identityRow{
	{
		dialled:    "container `kafka`, at its port 9092",
		known:      "Service `kafka` (`app: kafka`) also selects another Deployment",
		kubernetes: "app=kafka: 9092/TCP",
		why:        "The Service may send to each pod that it selects.",
		scene: scene{
			manifests:  manifesttest.Brokers,
			containers: []sceneContainer{{alias: "kafka"}},
			dials:      []dial{{addr: "CONTAINER0", port: 9092}},
		},
		tests: []string{"TestSelectors_ServiceOnlyForDestinations"},
	},
	{
		dialled: "the same", known: "the pods that the policy of `kafka` selects", kubernetes: "app=kafka, part=broker",
		why: "The Service's selector would isolate the other Deployment too; `helm.sh/chart` is of one release.",
		scene: scene{
			manifests:  manifesttest.Brokers,
			containers: []sceneContainer{{alias: "kafka"}},
			dials:      []dial{{addr: "CONTAINER0", port: 9092}},
		},
		of:    "kafka",
		shows: showsSelector,
		tests: []string{
			"TestSelectors_ServiceOnlyForDestinations",
			"TestFind_OwnSelector",
		},
	},
	{
		dialled:    "container `store`, by container `kafka`",
		known:      "the policy of `store`",
		kubernetes: "from app=kafka, part=broker: 5432/TCP",
		why:        "The other Deployment did not call.",
		scene: scene{
			manifests:  manifesttest.Brokers,
			containers: []sceneContainer{{alias: "store"}, {alias: "kafka"}},
			dials:      []dial{{from: "kafka", addr: "CONTAINER0", port: 5432}},
		},
		of: "store", shows: showsIngress, tests: []string{"TestSelectors_ServiceOnlyForDestinations"},
	},
	{
		dialled: "`kafka:80`", known: "a Service's port with a target port", kubernetes: "app=kafka: 9092/TCP",
		why:   "Policies see the pods' port.",
		scene: scene{manifests: manifesttest.Brokers, dials: []dial{lookedUp("kafka", 80)}},
		tests: []string{"TestTargetPorts_Services"},
	},
	{
		dialled:    "`store:5432`",
		known:      "no workload has the labels that the Service selects: an operator makes the pods",
		kubernetes: "cnpg.io/cluster=store, cnpg.io/instanceRole=primary: 5432/TCP; a notice",
		why:        "The selector suffices.",
		scene:      scene{manifests: manifesttest.Brokers, dials: []dial{lookedUp("store", 5432)}},
		notice:     "Service store",
		tests:      []string{"TestFind_OperatorPods", "TestTargetPorts_OperatorPods"},
	},
	{
		dialled:    "`reviews:9080`",
		known:      "a Service of an Argo Rollout (or DeploymentConfig, CloneSet)",
		kubernetes: "app=reviews: 9080/TCP",
		why:        "It makes pods from a template, as a Deployment does.",
		scene: scene{
			manifests: "{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {selector: {app: reviews}, " +
				"ports: [{port: 9080, targetPort: http}]}}\n---\n" +
				"{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {name: reviews}, spec: {selector: " +
				"{matchLabels: {app: reviews}}, " +
				"template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: x, image: x, ports: [{name: " +
				"http, containerPort: 9080}]}]}}}}\n",
			dials: []dial{lookedUp("reviews", 9080)},
		},
		tests: []string{"TestRead_DeploymentLikeKinds"},
	},
	{
		dialled: "container `front`",
		known: "no workload of that name; Service `front` selects two, and one declares its target port: " +
			"the pods that its policy selects",
		kubernetes: "app=front, role=web",
		why:        "The other one does not serve.",
		scene: scene{
			manifests: "{apiVersion: v1, kind: Service, metadata: {name: front}, spec: {selector: {app: front}, " +
				"ports: " +
				"[{port: 80, targetPort: 8080}]}}\n---\n" +
				deploymentOf("front-web", "{app: front, role: web}", "ports: [{containerPort: 8080}]") + "---\n" +
				deploymentOf("front-cron", "{app: front, role: cron}", "ports: [{containerPort: 9090}]"),
			containers: []sceneContainer{{alias: "front"}},
		},
		of: "front", shows: showsSelector, tests: []string{"TestFind_OwnSelector"},
	},
	{
		dialled:    "`dns:53`, by UDP and TCP",
		known:      "a person wrote a rule for the pods' port `dns`, which they have for both",
		kubernetes: "allowed, and kept",
		why:        "A port's name is resolved with its protocol.",
		onlyTests:  true, tests: []string{"TestPortNames_ResolvedByPods"},
	},
	{
		dialled:    "`cart:8080`",
		known:      "manifests as JSON objects without separators",
		kubernetes: "app=cart, tier=web: 8080/TCP",
		why:        "kubectl reads them, too.",
		scene: scene{
			manifests: `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cart"}, "spec": {` +
				`"selector": {"matchLabels": {"app": "cart", "tier": "web"}}, ` +
				`"template": {"metadata": {"labels": {"app": "cart", "tier": "web"}}, ` +
				`"spec": {"containers": [{"name": "x", "image": "x", "ports": [{"containerPort": 8080}]}]}}}}` + "\n" +
				`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}` + "\n",
			dials: []dial{lookedUp("cart", 8080)},
		},
		tests: []string{"TestRead_JSONLines"},
	},
	{
		dialled:    "container `web`",
		known:      "a Deployment, its live Pod, and a Helm test with the same labels: the pods that its policy selects",
		kubernetes: "app=web",
		why:        "Live pods are the Deployment's, and a Helm test is started by hand.",
		scene: scene{
			manifests: deploymentOf("web", "{app: web}", "ports: [{containerPort: 8080}]") + "---\n" +
				"{apiVersion: v1, kind: Pod, metadata: {name: web-6d4f8-x2xkq, labels: {app: web, pod-template-hash: 6d4f8}, " +
				"ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-6d4f8, uid: a, controller: true}]}, " +
				"spec: {containers: [{name: x, image: x}]}}\n---\n" +
				"{apiVersion: v1, kind: Pod, metadata: {name: web-test, annotations: {helm.sh/hook: test}, labels: {app: web}}, " +
				"spec: {containers: [{name: x, image: x}]}}\n",
			containers: []sceneContainer{{alias: "web"}},
		},
		of: "web", shows: showsSelector, tests: []string{"TestFind_OwnSelector"},
	},
	{
		dialled:    "container `migrate`",
		known:      "a Job without labels: the pods that its policy selects",
		kubernetes: "batch.kubernetes.io/job-name=migrate",
		why:        "It is the only label that its pods have in every run.",
		scene: scene{
			manifests: "{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {template: {spec: " +
				"{containers: [{name: m, image: m}], restartPolicy: Never}}}}\n",
			containers: []sceneContainer{{alias: "migrate"}},
		},
		of: "migrate", shows: showsSelector, tests: []string{"TestFind_OwnSelector"},
	},
	{
		dialled:    "container `cart`",
		known:      "its Service also selects a Job that has a `generateName` only: the pods that its policy selects",
		kubernetes: "app=cart, tier=web",
		why:        "The Job's pods do not have `tier`, and no name finds the Job.",
		scene: scene{
			manifests: "{apiVersion: v1, kind: Service, metadata: {name: cart}, spec: {selector: {app: cart}, ports: " +
				"[{port: 8080}]}}\n---\n" +
				"{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart}, spec: {selector: {matchLabels: {app: " +
				"cart}}, " +
				"template: {metadata: {labels: {app: cart, tier: web}}, spec: {containers: [{name: x, image: x, ports: " +
				"[{containerPort: 8080}]}]}}}}\n---\n" +
				"{apiVersion: batch/v1, kind: Job, metadata: {generateName: cart-}, spec: {template: {metadata: {labels: " +
				"{app: cart}}, spec: {containers: [{name: m, image: m}], restartPolicy: Never}}}}\n",
			containers: []sceneContainer{{alias: "cart"}},
		},
		of: "cart", shows: showsSelector, tests: []string{"TestRead_GenerateName"},
	},
}

// deploymentOf returns the manifest of a Deployment with labels and one container with more fields.
func deploymentOf(name, labels, container string) string {
	return "{apiVersion: apps/v1, kind: Deployment, metadata: {name: " + name + "}, " +
		"spec: {selector: {matchLabels: " + labels + "}, template: {metadata: {labels: " + labels + "}, " +
		"spec: {containers: [{name: x, image: x, " + container + "}]}}}}\n"
}
