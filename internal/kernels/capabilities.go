package kernels

import "github.com/netzero-dev/netzero/internal/kernels/guest"

// CapabilityFile is the path of this file from the module's root.
const CapabilityFile = "internal/kernels/capabilities.go"

// capability is a row of docs/kernels.md, with the expected values for every kernel there.
type capability struct {
	name        string
	suite, test string // which declares it, by internal/testenv
	rules       []rule // the first match counts; without any, the kernel records it
}

// rule is the expected value for some kernels.
type rule struct {
	since, until string // series: from the first on, and before the second; empty: unbounded
	state        guest.State
	text         string // the fallback, the reason of a refusal, or the value
}

// fallsBack is the rule for a fallback on every kernel.
func fallsBack(to string) []rule { return []rule{{state: guest.FallsBack, text: to}} }

// measured is the rule for a value that is measured on every kernel.
func measured() []rule { return []rule{{state: guest.Measured}} }

// isMeasured reports whether a row is in the table of measured values.
func (c capability) isMeasured() bool { return len(c.rules) == 1 && c.rules[0].state == guest.Measured }

// refusedEverywhere is the rule for a protocol that no kernel of the matrix has built in.
func refusedEverywhere(reason string) []rule { return []rule{{state: guest.Refused, text: reason}} }

// unnamed describes the limits if the programs cannot read the kernel's memory.
const unnamed = "executable names from /proc, until the process exits; each parallel test gets the flows of all"

const (
	inCgroup       = "./internal/cgroup"
	inProbe        = "./internal/probe"
	inEndpoint     = "./internal/endpoint"
	inRecorded     = "./internal/e2e/recorded"
	inEscapes      = "./internal/escapes"
	inEnvironments = "./internal/environments"
)

// verifierTest reports what the verifier says about each object of programs.
const verifierTest = "TestVerifier_InstructionsProcessed"

// none is the reason for a protocol that is not built into the kernel.
const none = "the kernel does not support it"

// capabilities are in the order of docs/kernels.md. A new one needs a row here and a test that declares it.
var capabilities = []capability{
	{name: "programs load, attach and are removed completely", suite: inProbe, test: "TestClose_LeavesNothing"},
	{name: "hooks that do not fire are detected", suite: inProbe, test: "TestCheck_HooksNotFiring"},

	{name: "TCP connect, IPv4", suite: inProbe, test: "TestTCP_ConnectionsFold"},
	{name: "TCP connect, IPv6", suite: inProbe, test: "TestTCP_ConnectionsFold"},
	{name: "TCP connect, refused by the peer", suite: inProbe, test: "TestTCP_RefusedAttemptIsAFlow"},
	{name: "TCP connect, IPv4-mapped IPv6 address", suite: inProbe, test: "TestTCP_MappedIPv4Address"},
	{name: "TCP Fast Open", suite: inProbe, test: "TestTCP_FastOpen"},
	{name: "MPTCP", suite: inProbe, test: "TestMPTCP_IsTCP", rules: []rule{
		{until: "5.11", state: guest.Refused, text: none}, // 5.10, Debian's only kernel before 6.1
	}},
	{name: "UDP connected, IPv4", suite: inProbe, test: "TestUDP_ConnectIsNoTraffic"},
	{name: "UDP connected, IPv6", suite: inProbe, test: "TestUDP_ConnectIsNoTraffic"},
	{name: "UDP unconnected, IPv4", suite: inProbe, test: "TestUDP_DestinationIsTheNamedOne"},
	{name: "UDP unconnected, IPv6", suite: inProbe, test: "TestUDP_DestinationIsTheNamedOne"},
	{name: "UDP, several destinations in one call", suite: inProbe, test: "TestUDP_Sendmmsg"},
	{name: "UDP replies of servers are not flows", suite: inProbe, test: "TestUDP_RepliesAreNoFlows"},
	{name: "UDP-Lite", suite: inProbe, test: "TestEgress_OtherProtocols", rules: []rule{
		{since: "7.1", state: guest.Refused, text: none}, // Linux dropped it
	}},
	{name: "ICMP echo", suite: inProbe, test: "TestEgress_OtherProtocols"},
	{name: "raw sockets: TCP", suite: inProbe, test: "TestEgress_OtherProtocols"},
	{name: "raw sockets: SCTP", suite: inProbe, test: "TestEgress_OtherProtocols"},
	{name: "raw sockets: protocols without ports", suite: inProbe, test: "TestEgress_OtherProtocols"},

	{name: "repeated flows are deduplicated and counted", suite: inProbe, test: "TestInvalidate_FlowIsNewAgain"},
	{name: "flows and server names are read completely during deletions", suite: inProbe,
		test: "TestCounts_CompleteDuringDeletions"},
	{name: "flows are counted as lost if their table is full", suite: inProbe, test: "TestLoss_FlowTableFull"},
	{name: "events are counted as lost if the ring buffer is full", suite: inProbe, test: "TestLoss_RingFull"},

	{name: "DNS answers over UDP", suite: inProbe, test: "TestDNS_AnswersDelivered"},
	{name: "DNS answers over TCP", suite: inProbe, test: "TestDNS_AnswersDelivered"},
	{name: "DNS names with the same address are distinguished", suite: inProbe, test: "TestNames_OneAddressTwoQuestions"},
	{name: "DNS names that are looked up at the same time are all candidates", suite: inProbe,
		test: "TestNames_SimultaneousQuestionsAreCandidates"},

	{name: "TLS server names, if DNS returned no name", suite: inProbe, test: "TestServerNames_FirstPayload"},
	{name: "HTTP Host headers, if DNS returned no name", suite: inProbe, test: "TestServerNames_FirstPayload"},
	{name: "DNS names that are looked up at the same time are distinguished by TLS server name or HTTP Host",
		suite: inProbe, test: "TestCandidates_ServerNamesDisambiguate"},
	{name: "server names with the same address are distinguished", suite: inProbe, test: "TestServerNames_RepeatsFold"},
	{name: "server names are counted as lost if their table is full", suite: inProbe,
		test: "TestLoss_ServerNameTableFull"},
	{name: "parallel tests are distinguished by goroutine", suite: inProbe,
		test: "TestAttribution_ParallelGoroutines"},
	{name: "child processes are attributed to the parallel test that started them", suite: inProbe,
		test: "TestAttribution_ChildProcesses"},
	{name: "the Go source line that opened a flow", suite: inProbe, test: "TestStacks_FromSystemCallOutward"},

	{name: "requests of HTTP clients", suite: inProbe, test: "TestStream_HTTPClients"},
	{name: "requests of gRPC clients", suite: inProbe, test: "TestStream_HTTP2Clients"},
	{name: "requests of Kafka clients", suite: inProbe, test: "TestStream_Kafka"},

	{name: "child processes are in scope from their start", suite: inProbe, test: "TestScope_ChildProcess"},
	{name: "nested cgroups are in scope", suite: inProbe, test: "TestScope_NestedCgroup"},
	{name: "descendants that have left the test's cgroup are in scope", suite: inProbe,
		test: "TestDescendants_InScopeInAnyCgroup"},
	{name: "other cgroups are out of scope", suite: inProbe, test: "TestScope_OtherCgroup"},
	{name: "containers: cgroups created during the recording, with their names", suite: inProbe,
		test: "TestNewCgroups_ShortLived"},
	{name: "containers: other cgroups from before the recording are out of scope", suite: inProbe,
		test: "TestNewCgroups_EarlierOneOutOfScope"},
	{name: "containers: unrelated cgroups are ignored", suite: inProbe,
		test: "TestNewCgroups_IgnoredOneIsSilent"},
	{name: "containers: flows to a reused address are reported again", suite: inProbe,
		test: "TestNewCgroups_MakeKnownFlowsNew"},
	{name: "containers: processes that have left their cgroup are in scope", suite: inProbe,
		test: "TestPIDNamespace_ContainerLeavesItsCgroup"},
	{name: "containers: cgroups are counted as lost if their table is full", suite: inProbe,
		test: "TestLoss_CgroupTableFull"},
	{name: "the test's own cgroup, entered and left", suite: inCgroup, test: "TestLeaf_EnterAndLeave"},
	{name: "cgroups of killed runs are removed", suite: inCgroup, test: "TestNewLeaf_RemovesStaleLeaf"},

	{name: "the executable's name, after the process has exited", suite: inProbe,
		test: "TestExecutables_ProcessHasExited"},
	{name: "each executable that opens a flow, also a known flow", suite: inProbe,
		test: "TestExecutables_EachInitiatorReported"},
	{name: "the executable's name from /proc, as a fallback", suite: inEndpoint, test: "TestReadProcess_Executable"},
	{name: "binds are reported with their process", suite: inProbe, test: "TestBinds_Reported"},
	{name: "sockets opened before the recording", suite: inProbe, test: "TestSockets_EarlierOnesTracked"},
	{name: "listening processes", suite: inEndpoint, test: "TestListeners_SameAsKernel"},
	{name: "listening processes in another network namespace", suite: inEndpoint, test: "TestListeners_OtherNamespace"},

	{name: "Enforce: undeclared TCP connections are refused", suite: inProbe, test: "TestEnforce_Addresses"},
	{name: "Enforce: undeclared datagrams are refused", suite: inProbe, test: "TestEnforce_Datagrams"},
	{name: "Enforce: undeclared DNS names are refused", suite: inProbe, test: "TestEnforce_Names"},
	{name: "Enforce: each parallel test has its own policy", suite: inProbe, test: "TestEnforce_Recordings"},
	{name: "Enforce: containers are refused from their first packet on", suite: inProbe, test: "TestEnforce_Below"},

	{name: "Record with a golden file: record, pass, fail, accept", suite: inRecorded,
		test: "TestGolden_RecordCompareAccept"},

	{name: "ways out: TCP", suite: inEscapes, test: "TestWaysOut"},
	{name: "way out: MPTCP", suite: inEscapes, test: "TestWaysOut", rules: []rule{
		{until: "5.11", state: guest.Refused, text: none},
	}},
	{name: "way out: MPTCP, a further address that the peer offers", suite: inEscapes, test: "TestWaysOut",
		rules: []rule{
			{until: "5.11", state: guest.Refused, text: none},
		}},
	{name: "ways out: UDP", suite: inEscapes, test: "TestWaysOut"},
	{name: "ways out: Raw packets and ICMP", suite: inEscapes, test: "TestWaysOut"},
	{name: "way out: SCTP", suite: inEscapes, test: "TestWaysOut", rules: refusedEverywhere(none)},
	{name: "way out: UDP-Lite", suite: inEscapes, test: "TestWaysOut", rules: []rule{
		{since: "7.1", state: guest.Refused, text: none},
	}},
	{name: "ways out: io_uring", suite: inEscapes, test: "TestWaysOut"},
	{name: "ways out: Earlier sockets", suite: inEscapes, test: "TestWaysOut"},
	{name: "ways out: Answers", suite: inEscapes, test: "TestWaysOut"},
	{name: "ways out: Sockets of other processes", suite: inEscapes, test: "TestWaysOut"},
	{name: "ways out: Processes", suite: inEscapes, test: "TestWaysOut"},
	{name: "ways out: Network namespaces", suite: inEscapes, test: "TestWaysOut"},
	{name: "way out: new network namespace (unshare)", suite: inEscapes, test: "TestWaysOut",
		rules: refusedEverywhere(none)},
	{name: "way out: network namespace of another process (setns)", suite: inEscapes, test: "TestWaysOut",
		rules: refusedEverywhere(none)},
	{name: "ways out: Outside IP sockets", suite: inEscapes, test: "TestWaysOut"},
	{name: "way out: vsock", suite: inEscapes, test: "TestWaysOut", rules: refusedEverywhere(none)},
	{name: "way out: TUN device", suite: inEscapes, test: "TestWaysOut", rules: refusedEverywhere(none)},

	{
		name:  "the smallest set of Linux capabilities",
		suite: inEnvironments, test: "TestCapabilities_SmallestSet",
		rules: []rule{
			{until: "5.11", state: guest.Reported, text: "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_RESOURCE"},
			{state: guest.Reported, text: "CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"},
		},
	},
	{name: "recording without BTF", suite: inEnvironments, test: "TestEnvironments", rules: fallsBack(unnamed)},
	{name: "recording with lockdown=integrity", suite: inEnvironments, test: "TestEnvironments_UntilReboot"},
	{name: "recording with lockdown=confidentiality", suite: inEnvironments, test: "TestEnvironments_UntilReboot",
		rules: fallsBack(unnamed)},

	{name: "programs that record: time", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that record: instructions", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that record: instructions of the largest", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that enforce: time", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that enforce: instructions", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that enforce: instructions of the largest", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that read requests: time", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that read requests: instructions", suite: inProbe, test: verifierTest, rules: measured()},
	{name: "programs that read requests: instructions of the largest", suite: inProbe, test: verifierTest,
		rules: measured()},
}
