package netzerotest

import (
	"github.com/netzero-dev/netzero/internal/manifest/manifesttest"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// loopbackRows are about traffic of a workload with itself.
var loopbackRows = []identityRow{
	{
		dialled: "`localhost:8080`", known: "the test process listens there", kubernetes: "nothing",
		why:   "A pod reaches itself whatever its policies say.",
		scene: bareScene(dial{addr: "127.0.0.1", port: 8080, listener: "checkout.test"}),
		tests: []string{"TestIdentify_Destinations"},
	},
	{
		dialled:    "`localhost:8080`, in a container",
		known:      "the container has a network of its own",
		kubernetes: "nothing",
		why:        "Loopback is the container's.",
		scene: scene{
			containers: []sceneContainer{redis},
			dials:      []dial{{from: "redis", addr: "127.0.0.1", port: 8080}},
		},
		of: "redis", tests: []string{"TestIdentify_FromContainer"},
	},
	{
		dialled:    "a container that shares its network with the caller",
		known:      "`network_mode: container:redis`",
		kubernetes: "nothing",
		why:        "Both are one pod.",
		scene: scene{
			containers: []sceneContainer{redis, {alias: "sidecar", network: "container:shop-redis-1"}},
			dials:      []dial{{from: "sidecar", addr: "CONTAINER0", port: 6379}},
		},
		of: "redis", tests: []string{"TestNetworks_Shared"},
	},
	{
		dialled: "`localhost:8080`", known: "no process listens there", kubernetes: "nothing; a notice",
		why:    "The intended destination is unknown. The line names `Peer` and `Ignore`.",
		scene:  bareScene(dial{addr: "127.0.0.1", port: 8080}),
		notice: "where no process listened: no rule can be written", tests: []string{"TestScripts/lookups_unanswered"},
	},
}

// containerRows are about containers, by each kind of address.
var containerRows = []identityRow{
	{
		dialled:    "`localhost:49153`",
		known:      "container `redis` publishes its port 6379 there",
		kubernetes: "app=redis: 6379/TCP",
		why:        "The published port differs in each run; the report shows it with the container.",
		scene: scene{
			containers: []sceneContainer{{alias: "redis", published: map[uint16]uint16{49153: 6379}}},
			dials:      []dial{{addr: "127.0.0.1", port: 49153, listener: "docker-proxy"}},
		},
		tests: []string{"TestPolicies_EachWorkload", "TestPublishedPorts_FailureNamesContainer"},
	},
	{
		dialled:    "`localhost:49153`",
		known:      "a container publishes it; `Peer(\"localhost:49153\", \"cache:6380\")`",
		kubernetes: "app=redis: 6379/TCP; a notice",
		why:        "A container of the test keeps its name; `As` gives it another.",
		scene: scene{
			options:    []Option{Peer("localhost:49153", "cache:6380")},
			containers: []sceneContainer{{alias: "redis", published: map[uint16]uint16{49153: 6379}}},
			dials:      []dial{{addr: "127.0.0.1", port: 49153, listener: "docker-proxy"}},
		},
		notice: "which keeps its own name: use As to change it",
	},
	{
		dialled: "`localhost:49153`",
		known: "a container that runs an API server publishes it; `Peer(\"localhost:49153\", " +
			"\"kubernetes.default.svc:443\")`",
		kubernetes: "all addresses: 443/TCP, 6443/TCP; egress-api-server: 443/TCP,6443/TCP",
		cilium:     "toEntities kube-apiserver: 443/TCP, 6443/TCP",
		why:        "The container stands for the API server (k3s, kind).",
		scene: scene{
			options:    []Option{Peer("localhost:49153", "kubernetes.default.svc:443")},
			containers: []sceneContainer{{alias: "k3s", published: map[uint16]uint16{49153: 6443}}},
			dials:      []dial{{addr: "127.0.0.1", port: 49153, listener: "docker-proxy"}},
		},
	},
	{
		dialled:    "`localhost:49153`",
		known:      "a container that is not the test's publishes it; `Peer(\"localhost:49153\", \"cache:6380\")`",
		kubernetes: "app=cache: 6380/TCP",
		why:        "`Peer` names what does not belong to the test.",
		scene: scene{
			options: []Option{Peer("localhost:49153", "cache:6380")}, running: true,
			containers: []sceneContainer{{alias: "redis", notGiven: true, published: map[uint16]uint16{49153: 6379}}},
			dials:      []dial{{addr: "127.0.0.1", port: 49153, listener: "docker-proxy"}},
		},
	},
	{
		dialled:    "an address of container `redis`, in any network",
		known:      "the engine",
		kubernetes: "app=redis: 6379/TCP",
		why:        "Docker may give the address to another container.",
		scene:      scene{containers: []sceneContainer{redis}, dials: []dial{{addr: "CONTAINER0", port: 6379}}},
		tests:      []string{"TestNetworks_OneWorkload", "TestAddresses_Moved"},
	},
	{
		dialled:    "container `redis` by container `cart`",
		known:      "both are the test's: the policy of `cart`",
		kubernetes: "app=redis: 6379/TCP",
		why:        "Each container is a workload.",
		scene: scene{
			containers: []sceneContainer{redis, {alias: "cart"}},
			dials:      []dial{{from: "cart", addr: "CONTAINER0", port: 6379}},
		},
		of: "cart", tests: []string{"TestPolicies_EachWorkload"},
	},
	{
		dialled: "the same", known: "the policy of `redis`", kubernetes: "from app=cart: 6379/TCP",
		why: "All of its callers in the test are recorded.",
		scene: scene{
			containers: []sceneContainer{redis, {alias: "cart"}},
			dials:      []dial{{from: "cart", addr: "CONTAINER0", port: 6379}},
		},
		of: "redis", shows: showsIngress,
	},
	{
		dialled:    "container `orders-db.shop.svc`",
		known:      "its alias is a Service's full name",
		kubernetes: "app=orders-db in shop: 5432/TCP",
		why:        "Only a cluster answers such a name.",
		scene: scene{
			containers: []sceneContainer{{alias: "orders-db.shop.svc"}},
			dials:      []dial{{addr: "CONTAINER0", port: 5432}},
		},
		tests: []string{"TestContainerName_AliasWithDots"},
	},
	{
		dialled:    "the same",
		known:      "no `Namespace`; the policy of `orders-db`, which is applied to `shop`",
		kubernetes: "from app=checkout in any namespace: 5432/TCP",
		why:        "The caller's namespace is unknown; a rule without a namespace would mean `shop`.",
		scene: scene{
			containers: []sceneContainer{{alias: "orders-db.shop.svc"}},
			dials:      []dial{{addr: "CONTAINER0", port: 5432}},
		},
		of: "orders-db", shows: showsIngress, tests: []string{"TestIngress_CallerOfUnknownNamespace"},
	},
	{
		dialled:    "container `orders-db.shop`",
		known:      "the manifests have that Service",
		kubernetes: "app=db in shop: 5432/TCP",
		why:        "The alias is a name of the cluster.",
		scene: scene{
			options: inWeb, manifests: manifesttest.Shop,
			containers: []sceneContainer{{alias: "orders-db.shop"}}, dials: []dial{{addr: "CONTAINER0", port: 5432}},
		},
		tests: []string{"TestContainerName_AliasWithDots"},
	},
	{
		dialled:    "container `api.stripe.com`",
		known:      "no `As`",
		kubernetes: "internet: 443/TCP; egress-names: api.stripe.com:443/TCP; a notice",
		cilium:     "toFQDNs api.stripe.com: 443/TCP; a notice",
		why:        "It is a fake of that host, and gets no policy.",
		scene: scene{
			containers: []sceneContainer{{alias: "api.stripe.com"}},
			dials:      []dial{{addr: "CONTAINER0", port: 443}},
		},
		notice: "stands for the host api.stripe.com",
		tests:  []string{"TestContainerName_AliasWithDots"},
	},
	{
		dialled:    "a container that `AsPeer` names, or with the label `dev.netzero.peer`",
		known:      "the policy of its caller",
		kubernetes: "app=redis: 6379/TCP",
		why:        "It is a destination like any other.",
		scene: scene{
			containers: []sceneContainer{{alias: "redis", isPeer: true}},
			dials:      []dial{{addr: "CONTAINER0", port: 6379}},
		},
		tests: []string{"TestAsPeer_NoPolicy"},
	},
	{
		dialled: "the same", known: "its own policy", kubernetes: "no policy",
		why: "Somebody else operates it: a policy from a test would cut off replication, backups and " +
			"other clients.",
		scene: scene{
			containers: []sceneContainer{{alias: "redis", isPeer: true}},
			dials:      []dial{{addr: "CONTAINER0", port: 6379}},
		},
		of: "redis", tests: []string{"TestAsPeer_NoPolicy"},
	},
	{
		dialled:    "container `cart`, by a container that `AsPeer` names",
		known:      "the policy of `cart`",
		kubernetes: "from app=web: 8080/TCP",
		why:        "The peer is a caller.",
		scene: scene{
			containers: []sceneContainer{{alias: "cart", exposes: []uint16{8080}}, {alias: "web", isPeer: true}},
			dials:      []dial{{from: "web", addr: "CONTAINER0", port: 8080}},
		},
		of: "cart", shows: showsIngress, tests: []string{"TestPeer_IsCallerOnly"},
	},
	{
		dialled:    "`api.stripe.com`, by a container that `AsPeer` names",
		known:      "nothing else",
		kubernetes: "nothing",
		why:        "It is recorded, but it has no policy.",
		scene: scene{
			containers: []sceneContainer{{alias: "redis", isPeer: true}},
			dials:      []dial{{from: "redis", name: "api.stripe.com", addr: public, port: 443}},
		},
		tests: []string{"TestAsPeer_NoPolicy"},
	},
	{
		dialled:    "container `redis`, by container `cart`, which ran when the test began",
		known:      "`Adopt`: the policy of `cart`",
		kubernetes: "app=redis: 6379/TCP; a notice",
		why:        "It belongs to the test from then on; the notice says so.",
		scene: scene{
			running:    true,
			containers: []sceneContainer{redis, {alias: "cart"}},
			dials:      []dial{{from: "cart", addr: "CONTAINER0", port: 6379}},
		},
		of: "cart", notice: "cart ran before the recording: its earlier flows are not in its policy",
		tests: []string{"TestAdopt_RecordedFromThenOn"},
	},
	{
		dialled:    "a container that ran when the test began, by a driver",
		known:      "nothing else is recorded",
		kubernetes: "red",
		why:        "What it opened until then is not recorded. The error says what to start in the test.",
		scene: scene{
			options: []Option{Driver()}, running: true,
			containers: []sceneContainer{{alias: "redis", notGiven: true}},
			dials:      []dial{{addr: "CONTAINER0", port: 6379}},
		},
		red: "ran before the recording and is not recorded", tests: []string{"TestOlderContainers_Advice"},
	},
}

// portRows are about ports that may change in the next run.
var portRows = []identityRow{
	{
		dialled:    "port 2121 of a container",
		known:      "below the range of ephemeral ports",
		kubernetes: "app=ftp: 2121/TCP",
		why:        "The server chose this port itself.",
		scene:      scene{containers: []sceneContainer{ftp}, dials: []dial{{addr: "CONTAINER0", port: 2121}}},
		tests:      []string{"TestPorts_EphemeralRejected"},
	},
	{
		dialled:    "port 43121 of a container",
		known:      "in that range; the image, the request or a published port exposes it",
		kubernetes: "app=ftp: 43121/TCP",
		why:        "The image says that the port is the server's own.",
		scene: scene{
			containers: []sceneContainer{{alias: "ftp", exposes: []uint16{43121}}},
			dials:      []dial{{addr: "CONTAINER0", port: 43121}},
		},
		tests: []string{"TestPorts_EphemeralRejected"},
	},
	{
		dialled:    "port 43121 of a container",
		known:      "in that range; a port of the manifests",
		kubernetes: "app=ftp: 43121/TCP",
		why:        "In the cluster the port is fixed.",
		scene: scene{
			manifests:  deployedFTPAt43121,
			containers: []sceneContainer{ftp}, dials: []dial{{addr: "CONTAINER0", port: 43121}},
		},
		tests: []string{"TestEphemeral_Refused"},
	},
	{
		dialled: "port 43121 of a container", known: "in that range; nothing names it", kubernetes: "red",
		why:   "The kernel chose it: the next run has another (passive FTP, RMI).",
		scene: scene{containers: []sceneContainer{ftp}, dials: []dial{{addr: "CONTAINER0", port: 43121}}},
		red:   "no policy can hold that", tests: []string{"TestPorts_EphemeralRejected"},
	},
	{
		dialled:    "port 2121 of a container",
		known:      "its own `net.ipv4.ip_local_port_range` is 2000 to 3000",
		kubernetes: "red",
		why:        "A network namespace has a range of its own.",
		scene: scene{
			containers: []sceneContainer{{alias: "ftp", localPorts: "2000 3000"}},
			dials:      []dial{{addr: "CONTAINER0", port: 2121}},
		},
		red: "no policy can hold that", tests: []string{"TestPorts_EphemeralRejected"},
	},
	{
		dialled:    "port 43121 of a container",
		known:      "`Ports(\"ftp:43000-43999\")`",
		kubernetes: "app=ftp: 43000-43999/TCP",
		why:        "Each run uses another port of the range, and all write the same.",
		scene: scene{
			options:    []Option{Ports("ftp:43000-43999")},
			containers: []sceneContainer{ftp}, dials: []dial{{addr: "CONTAINER0", port: 43121}},
		},
		tests: []string{"TestPorts_RangeIsStable"},
	},
	{
		dialled:    "the same",
		known:      "`Ports(\"ftp:43000-43999\")`: the policy of `ftp`",
		kubernetes: "from app=checkout: 43000-43999/TCP",
		why:        "The range is the server's.",
		scene: scene{
			options:    []Option{Ports("ftp:43000-43999")},
			containers: []sceneContainer{ftp}, dials: []dial{{addr: "CONTAINER0", port: 43121}},
		},
		of: "ftp", shows: showsIngress, tests: []string{"TestPorts_RangeIsStable"},
	},
	{
		dialled: "port 43121 of a container", known: "`Ports(\"ftp:43121\")`", kubernetes: "app=ftp: 43121/TCP",
		why: "The user says that it is fixed.",
		scene: scene{
			options:    []Option{Ports("ftp:43121")},
			containers: []sceneContainer{ftp}, dials: []dial{{addr: "CONTAINER0", port: 43121}},
		},
		tests: []string{"TestEphemeral_Refused"},
	},
	{
		dialled:    "port 43121 of a container that has no policy of its own",
		known:      "a person wrote a range into the caller's policy",
		kubernetes: "app=ftp: 43000-43999/TCP",
		why:        "A rule by hand counts: it passes, and an update keeps the range.",
		scene: scene{
			containers: []sceneContainer{{alias: "ftp", isPeer: true}}, dials: []dial{{addr: "CONTAINER0", port: 43121}},
			golden: "{to: [{podSelector: {matchLabels: {app: ftp}}}], ports: [{port: 43000, endPort: 43999}]}",
		},
		tests: []string{"TestEphemeral_Refused", "TestScripts/listeners_ephemeral"},
	},
	{
		dialled: "port 43121 of a child process", known: "no `Peer`, no `Ports`", kubernetes: "red",
		why:   "As for containers.",
		scene: bareScene(dial{addr: "127.0.0.1", port: 43121, listener: "ratesd"}),
		red:   "no policy can hold that", tests: []string{"TestScripts/listeners_ephemeral", "TestEphemeralPorts"},
	},
	{
		dialled:    "port 43121 of the test process, by a container",
		known:      "no `Peer`; testcontainers' host access",
		kubernetes: "red",
		why:        "As for containers.",
		scene: scene{
			containers: []sceneContainer{
				{alias: "cart"},
				{alias: "host.testcontainers.internal", image: "testcontainers/sshd:1.3.0", notGiven: true},
			},
			dials: []dial{{from: "cart", addr: "CONTAINER1", port: 43121}},
		},
		of: "cart", red: "no policy can hold that", tests: []string{"TestHostAccess_NeedsPeer"},
	},
}

// deployedFTPAt43121 is a manifest of a Service with that target port.
const deployedFTPAt43121 = `{apiVersion: v1, kind: Service, metadata: {name: ftp},
  spec: {selector: {app: ftp}, ports: [{port: 990, targetPort: 43121}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: ftp}, spec: {selector: {matchLabels: {app: ftp}},
  template: {metadata: {labels: {app: ftp}}, spec: {containers: [{name: ftp, image: ftp}]}}}}
`

// callerRows are about the initiator of a flow: the test's infrastructure, a driver, an unknown process.
var callerRows = []identityRow{
	{
		dialled:    "container `redis`, by a wait strategy of testcontainers",
		known:      "the recording was not passed to the container: the call stack leads to `WaitUntilReady`",
		kubernetes: "nothing; a notice",
		why:        "Wait strategies do not run in production.",
		scene: scene{
			containers: []sceneContainer{{alias: "redis", notGiven: true}},
			dials: []dial{
				{addr: "CONTAINER0", port: 6379, process: flow.Process{Name: "checkout.test", Stack: waitStack}},
			},
		},
		notice: "infrastructure, not in the policy: wait strategies: redis:6379/TCP",
		tests:  []string{"TestWaitStrategies_UnpassedContainers", "TestWaitStrategies_ComposeServices"},
	},
	{
		dialled:    "the same",
		known:      "testcontainers said when it waits for the container",
		kubernetes: "nothing; a notice",
		why:        "The same.",
		scene: scene{
			containers: []sceneContainer{{alias: "redis", waited: true}},
			dials:      []dial{{addr: "CONTAINER0", port: 6379}},
		},
		notice: "infrastructure, not in the policy: wait strategies: redis:6379/TCP",
		tests:  []string{"TestWaitStrategies_AreInfrastructure"},
	},
	{
		dialled:    "the same port afterwards, by the test",
		known:      "the wait is over: the policy of `redis`",
		kubernetes: "from app=checkout: 6379/TCP",
		why:        "The kernel drops a wait strategy's flow, so the next one is reported again.",
		scene:      scene{containers: []sceneContainer{redis}, dials: []dial{{addr: "CONTAINER0", port: 6379}}},
		of:         "redis", shows: showsIngress, tests: []string{"TestWaitStrategies_LaterCallIsFlow"},
	},
	{
		dialled:    "container `redis`, by Docker's HEALTHCHECK of another",
		known:      "the opener descends from that command",
		kubernetes: "nothing; a notice",
		why:        "Kubernetes runs no HEALTHCHECK.",
		scene: scene{
			containers: []sceneContainer{redis, {alias: "cart", healthCheck: "nc -z redis 6379"}},
			dials: []dial{
				{
					from:    "cart",
					addr:    "CONTAINER0",
					port:    6379,
					process: flow.Process{PID: sceneOthers, Name: "nc", Exec: "nc -z redis 6379"},
				},
			},
		},
		of: "cart", notice: "infrastructure, not in the policy: health checks: redis:6379/TCP",
		tests: []string{"TestHealthChecks_AreInfrastructure", "TestHealthChecks_ThroughShell"},
	},
	{
		dialled: "the same, by the container itself", known: "another process", kubernetes: "app=redis: 6379/TCP",
		why: "It is the workload's own traffic.",
		scene: scene{
			containers: []sceneContainer{redis, {alias: "cart", healthCheck: "nc -z redis 6379"}},
			dials: []dial{
				{
					from:    "cart",
					addr:    "CONTAINER0",
					port:    6379,
					process: flow.Process{PID: sceneOthers, Name: "serve", Command: "serve"},
				},
			},
		},
		of: "cart", tests: []string{"TestHealthChecks_AreInfrastructure"},
	},
	{
		dialled: "Ryuk", known: "its image or its label", kubernetes: "nothing; a notice",
		why: "It removes the test's containers.",
		scene: scene{
			containers: []sceneContainer{{alias: "reaper", image: "testcontainers/ryuk:0.11.0", notGiven: true}},
			dials:      []dial{{addr: "CONTAINER0", port: 8080}},
		},
		notice: "infrastructure, not in the policy: Ryuk",
	},
	{
		dialled:    "container `redis`, by a driver",
		known:      "`Driver`: the policy of `redis`",
		kubernetes: "from anyone: 6379/TCP",
		cilium:     "fromEntities all: 6379/TCP",
		why:        "No test knows its callers in production. If this replaces named callers, a line says so.",
		scene: scene{
			options:    []Option{Driver()},
			containers: []sceneContainer{redis},
			dials:      []dial{{addr: "CONTAINER0", port: 6379}},
		},
		of:    "redis",
		shows: showsIngress,
		tests: []string{"TestDriver_NoWorkload", "TestWidened_RulesOpenedToAnyone"},
	},
	{
		dialled:    "container `redis`, by a driver that looks into it and by container `cart`",
		known:      "`Driver`, `Ignore(\"redis:6379\")`: the policy of `redis`",
		kubernetes: "from app=cart: 6379/TCP",
		why:        "A driver's look into a database is not production traffic; the service's call is.",
		scene: scene{
			options: []Option{Driver(), Ignore("redis:6379")}, containers: []sceneContainer{redis, {alias: "cart"}},
			dials: []dial{
				{addr: "CONTAINER0", port: 6379},
				{from: "cart", addr: "CONTAINER0", port: 6379, process: flow.Process{PID: sceneOthers, Name: "serve"}},
			},
		},
		of: "redis", shows: showsIngress, tests: []string{"TestDriver_ReadsDatabase"},
	},
	{
		dialled:    "nothing: container `worker` has no caller",
		known:      "no option: the policy of `worker`",
		kubernetes: "ingress is open",
		why:        "A test need not see every caller.",
		scene:      scene{containers: []sceneContainer{{alias: "worker"}}},
		of:         "worker", shows: showsIngress,
	},
	{
		dialled:    "nothing: container `worker` has no caller",
		known:      "`CloseIngress`: the policy of `worker`",
		kubernetes: "no ingress",
		why:        "Only the user knows that it has no other caller.",
		scene:      scene{options: []Option{CloseIngress()}, containers: []sceneContainer{{alias: "worker"}}},
		of:         "worker",
		shows:      showsIngress,
		tests:      []string{"TestCloseIngress_NoCallers", "TestClose_WorkloadsWithoutCallers"},
	},
	{
		dialled:    "nothing",
		known:      "`DefaultDeny`: the policy `default-deny-all`, ingress",
		kubernetes: "no ingress; a notice",
		why:        "It denies what no other policy of the namespace allows. The notice says which callers to add.",
		scene:      scene{options: []Option{DefaultDeny()}},
		of:         "default-deny-all", shows: showsIngress, notice: "also denies callers of checkout",
		tests: []string{"TestScripts/options_defaultdeny", "TestClose_UpdateClosesOpenPolicies",
			"TestClose_RandomPoliciesAreTrue"},
	},
}

// peerRows are about servers that the user names.
var peerRows = []identityRow{
	{
		dialled: "a fake on localhost", known: "`Peer(addr, \"search:9200\")`", kubernetes: "app=search: 9200/TCP",
		why: "`Peer` says so.",
		scene: scene{
			options: []Option{Peer("127.0.0.1:43121", "search:9200")},
			dials:   []dial{{addr: "127.0.0.1", port: 43121, listener: "checkout.test"}},
		},
		tests: []string{"TestNames_PeersForThirdParties", "TestScripts/report_destinations"},
	},
	{
		dialled: "a fake on localhost", known: "`Peer(addr, \"api.stripe.com:443\")`",
		kubernetes: "internet: 443/TCP; egress-names: api.stripe.com:443/TCP",
		cilium:     "toFQDNs api.stripe.com: 443/TCP",
		why:        "It stands for that host.",
		scene: scene{
			options: []Option{Peer("127.0.0.1:43121", "api.stripe.com:443")},
			dials:   []dial{{addr: "127.0.0.1", port: 43121, listener: "checkout.test"}},
		},
		tests: []string{"TestNames_PeersForThirdParties"},
	},
	{
		dialled:    "a fake on localhost",
		known:      "`Peer(addr, \"redis.shop:6379\")`, and the manifests have the Service",
		kubernetes: "app=redis in shop: 6379/TCP",
		why:        "The manifests know the name.",
		scene: scene{
			options: append([]Option{Peer("127.0.0.1:43121", "redis.shop:6379")}, inWeb...), manifests: manifesttest.Shop,
			dials: []dial{{addr: "127.0.0.1", port: 43121, listener: "checkout.test"}},
		},
		tests: []string{"TestNames_PeersForThirdParties"},
	},
	{
		dialled: "a fake on localhost", known: "`Peer(addr, \"redis.shop:6379\")`, no manifests",
		kubernetes: "internet: 6379/TCP; egress-names: redis.shop:6379/TCP; a notice",
		cilium:     "toFQDNs redis.shop: 6379/TCP; a notice",
		why:        "A name with a dot may be an external host. The notice names `redis.shop.svc:6379`.",
		scene: scene{
			options: []Option{Peer("127.0.0.1:43121", "redis.shop:6379")},
			dials:   []dial{{addr: "127.0.0.1", port: 43121, listener: "checkout.test"}},
		},
		notice: "for pods write \"redis.shop.svc:6379\"", tests: []string{"TestNames_PeersForThirdParties"},
	},
	{
		dialled:    "a fake on localhost, at port 43121",
		known:      "`Peer(addr, \"search\")`, without a port",
		kubernetes: "red",
		why:        "The kernel chose port 43121.",
		scene: scene{
			options: []Option{Peer("127.0.0.1:43121", "search")},
			dials:   []dial{{addr: "127.0.0.1", port: 43121, listener: "checkout.test"}},
		},
		red: "say at which port the real search serves", tests: []string{"TestEphemeralPorts"},
	},
	{
		dialled:    "a port of another machine, by its address",
		known:      "`Peer(\"192.0.2.9\", \"search:9200\")`",
		kubernetes: "app=search: 9200/TCP",
		why:        "`Peer` comes before the name from DNS.",
		scene: scene{
			options: []Option{Peer("192.0.2.9", "search:9200")},
			dials:   []dial{{name: "db1.corp.example", addr: "192.0.2.9", port: 9300}},
		},
		tests: []string{"TestPeers_MostSpecificWins"},
	},
	{
		dialled:    "`192.0.2.9:30092`, a node's port",
		known:      "`Peer(\"192.0.2.9:30092\", \"kafka:30092\")`; a Service's `nodePort`, or a `hostPort`",
		kubernetes: "app=kafka: 9092/TCP",
		why:        "Policies see the pods' port.",
		scene: scene{
			options:   []Option{Peer("192.0.2.9:30092", "kafka:30092")},
			manifests: manifesttest.Brokers,
			dials:     []dial{{addr: "192.0.2.9", port: 30092}},
		},
		tests: []string{"TestTargetPorts_NodePorts", "TestTargetPorts_Services"},
	},
}

// processRows are about processes of this machine.
var processRows = []identityRow{
	{
		dialled:    "`localhost:7070`",
		known:      "child process `ratesd` listens there",
		kubernetes: "app=ratesd: 7070/TCP",
		why:        "The executable's name is the best one; manifests and `Peer` can give another.",
		scene:      bareScene(dial{addr: "127.0.0.1", port: 7070, listener: "ratesd"}),
		tests:      []string{"TestScripts/listeners", "TestIdentify_Destinations"},
	},
	{
		dialled:    "`localhost:7070`",
		known:      "a process listens there in another network namespace",
		kubernetes: "app=ratesd: 7070/TCP",
		why:        "A process is looked for in the network namespace of the flow.",
		onlyTests:  true, tests: []string{"TestListeners_OtherNamespace", "TestScripts/namespaces"},
	},
	{
		dialled:    "an address of this machine, by a container",
		known:      "process `ratesd`, which the test has not started, listens there",
		kubernetes: "app=ratesd: 7070/TCP", cilium: "toEntities host: 7070/TCP",
		why:       "To Cilium it is the node. A notice names `Peer`, for one that stands for pods.",
		onlyTests: true,
		tests:     []string{"TestCilium_HostProcess", "TestIdentify_NodeFromContainer"},
	},
	{
		dialled:    "`localhost:8080`",
		known:      "`kubectl` (or ssh, socat, telepresence and others) listens there",
		kubernetes: "app=kubectl: 8080/TCP; a notice",
		why:        "No pods have that name; only the user knows what is forwarded. The line names `Peer`.",
		scene:      bareScene(dial{addr: "127.0.0.1", port: 8080, listener: "kubectl"}),
		notice:     "which forwards to another destination", tests: []string{"TestScripts/listeners_forwarders"},
	},
	{
		dialled:    "a port of the test process, by container `cart`",
		known:      "testcontainers' host access: the policy of `cart`",
		kubernetes: "app=checkout: 8080/TCP",
		why:        "To a container, the test process is the workload.",
		scene: scene{
			containers: []sceneContainer{
				{alias: "cart"},
				{alias: "host.testcontainers.internal", image: "testcontainers/sshd:1.3.0", notGiven: true},
			},
			dials: []dial{{from: "cart", addr: "CONTAINER1", port: 8080}},
		},
		of: "cart", tests: []string{"TestHostAccess_IsTestProcess", "TestNetworks_GatewayIsTestProcess"},
	},
	{
		dialled: "a port of the test process, by container `cart`", known: "`Driver`, no `Peer`", kubernetes: "red",
		why: "A driver is no workload.",
		scene: scene{
			options: []Option{Driver()},
			containers: []sceneContainer{
				{alias: "cart"},
				{alias: "host.testcontainers.internal", image: "testcontainers/sshd:1.3.0", notGiven: true},
			},
			dials: []dial{{from: "cart", addr: "CONTAINER1", port: 8080}},
		},
		of:    "cart",
		red:   "is no workload (Driver): say what it stands for",
		tests: []string{"TestDriver_ServerNeedsPeer"},
	},
}
