package recording

import (
	"cmp"
	"fmt"
)

// Notice is a message for the user that does not fail the test.
type Notice struct {
	Code NoticeCode `json:"code"`
	Text string     `json:"text"` // one line that does not name the test
}

// NoticeCode says what a notice is about. A code keeps its meaning in later versions; its text may change.
type NoticeCode string

// Notices of the recorder: about the machine.
const (
	// CodeExecutableNames: programs that have ended have no name, because of the kernel or of missing privileges.
	CodeExecutableNames NoticeCode = "executable-names"
	// CodeChildProcesses: the child processes of tests that run in parallel cannot be distinguished.
	CodeChildProcesses NoticeCode = "child-processes"
	// CodeNoEngine: containers were started and not recorded, because no supported engine describes them.
	CodeNoEngine NoticeCode = "no-engine"
)

// Notices of the recorder: about the test to which a flow belongs.
const (
	// CodeUnseparatedGoroutines: goroutines cannot be distinguished, so parallel tests have the flows of all of them.
	CodeUnseparatedGoroutines NoticeCode = "unseparated-goroutines"
	// CodeUnattributedGoroutine: a goroutine or process of no known test opened flows, which all parallel tests have.
	CodeUnattributedGoroutine NoticeCode = "unattributed-goroutine"
	// CodeUnrecordedTest: a test without a recording ran in parallel, and its flows are in this recording.
	CodeUnrecordedTest NoticeCode = "unrecorded-test"
)

// Notices of the recorder: about containers.
const (
	// CodeOlderContainer: a container of the test ran before the recording, so its earlier flows are missing.
	CodeOlderContainer NoticeCode = "older-container"
	// CodeContainerDetails: the engine did not report everything about a container of the test.
	CodeContainerDetails NoticeCode = "container-details"
	// CodeOlderNeighbor: an older container is in a network of the test's containers, and its flows are not recorded.
	CodeOlderNeighbor NoticeCode = "older-neighbor"
	// CodeUnrelatedContainer: a container was started during the recording, and nothing relates it to the test.
	CodeUnrelatedContainer NoticeCode = "unrelated-container"
	// CodeSharedName: containers of different images have one name, and so share a policy.
	CodeSharedName NoticeCode = "shared-name"
	// CodeContainerAsHost: a container has the alias of an external host, and gets no policy.
	CodeContainerAsHost NoticeCode = "container-as-host"
	// CodePeerIsContainer: a Peer names a container of the test, which keeps its own name.
	CodePeerIsContainer NoticeCode = "peer-is-container"
	// CodeRunningBefore: the test process of a driver connected to containers that ran before the recording.
	CodeRunningBefore NoticeCode = "running-before"
	// CodeImageBuild: a step of an image build opened flows, which are not recorded. It is printed without -v, too.
	CodeImageBuild NoticeCode = "image-build"
	// CodeStartedTooEarly: this process started a container before the recording, and its flows are in no policy. It is
	// printed without -v, too.
	CodeStartedTooEarly NoticeCode = "started-too-early"
)

// Notices of the recorder: about destinations.
const (
	// CodeInfrastructure: flows of the test's infrastructure, which are in no policy.
	CodeInfrastructure NoticeCode = "infrastructure"
	// CodeHostAccess: the host access of testcontainers opens the same flow as the test process.
	CodeHostAccess NoticeCode = "host-access"
	// CodeEncryptedDNS: names may come from a resolver whose queries are encrypted.
	CodeEncryptedDNS NoticeCode = "encrypted-dns"
	// CodeLinkLocal: a flow to a multicast group that no router forwards is in no policy.
	CodeLinkLocal NoticeCode = "link-local"
	// CodeForwarder: a destination is a program that forwards to an unknown one. It is printed without -v, too.
	CodeForwarder NoticeCode = "forwarder"
	// CodeHiddenListener: a destination is a process of this machine that the test may not inspect. It is printed
	// without -v, too.
	CodeHiddenListener NoticeCode = "hidden-listener"
	// CodeNoListener: no process listened at a port of this machine. It is printed without -v, too. With Strict it fails
	// the test.
	CodeNoListener NoticeCode = "no-listener"
)

// Notices of the placement.
const (
	// CodeNoPods: a workload stands for no pods in the manifests, and gets no policy.
	CodeNoPods NoticeCode = "no-pods"
	// CodeNotInManifests: the manifests lack a workload, so its label is app with its name.
	CodeNotInManifests NoticeCode = "not-in-manifests"
	// CodeUnmatchedSelector: no workload of the manifests has the labels that a Service selects.
	CodeUnmatchedSelector NoticeCode = "unmatched-selector"
	// CodeSharedSelector: the selector of a workload's own policy also matches other workloads.
	CodeSharedSelector NoticeCode = "shared-selector"
	// CodeUnknownPort: the manifests do not say at which port the pods of a Service listen.
	CodeUnknownPort NoticeCode = "unknown-port"
	// CodeUnknownNamespace: other workloads have a namespace, and the test process has none.
	CodeUnknownNamespace NoticeCode = "unknown-namespace"
	// CodeOtherNamespace: a pod cannot resolve the name that was looked up, because its namespace is another one.
	CodeOtherNamespace NoticeCode = "other-namespace"
	// CodeLikeService: an external host that a Peer names has the form of a Service's name.
	CodeLikeService NoticeCode = "like-service"
	// CodeDefaultDeny: the policy that denies everything else also denies callers that were not in this test.
	CodeDefaultDeny NoticeCode = "default-deny"
	// CodeNode: Cilium treats a process of this machine as the host.
	CodeNode NoticeCode = "node"
	// CodeAPIServer: no manifest has the addresses of the API server, so a rule opens its port to all addresses.
	CodeAPIServer NoticeCode = "api-server"
	// CodeHostNetwork: no policy selects pods that use the network of their nodes.
	CodeHostNetwork NoticeCode = "host-network"
)

// Notices about recordings of a cluster that Hubble watches.
const (
	// CodeDroppedFlows: the cluster dropped flows, which are in the recording or left out.
	CodeDroppedFlows NoticeCode = "dropped-flows"
	// CodeLeftOut: events of the cluster are in no flow.
	CodeLeftOut NoticeCode = "left-out"
	// CodeUnknownDirection: ports decided which side of a flow is the server.
	CodeUnknownDirection NoticeCode = "unknown-direction"
	// CodePublicCallers: many public addresses call a port, and a policy lists each of them.
	CodePublicCallers NoticeCode = "public-callers"
	// CodeNoLabels: Hubble had no labels for a workload, so its label is app with its name.
	CodeNoLabels NoticeCode = "no-labels"
)

// Notices of the check.
const (
	// CodeNotAccepted: an update would accept nothing, because the test failed.
	CodeNotAccepted NoticeCode = "not-accepted"
	// CodeNoTests: the test binary does not run in the directory of its package.
	CodeNoTests NoticeCode = "no-tests"
	// CodeOtherTest: the golden file belongs to another test.
	CodeOtherTest NoticeCode = "other-test"
	// CodeForeignPolicy: a committed policy is for no workload of this run.
	CodeForeignPolicy NoticeCode = "foreign-policy"
	// CodeWideRule: a committed rule allows everything, the whole internet or every request, or its requests are not
	// compared.
	CodeWideRule NoticeCode = "wide-rule"
	// CodeWidened: an update opens a port to anyone that is open to named callers. An update prints it without -v, too.
	CodeWidened NoticeCode = "widened"
	// CodeDenyRules: an update keeps committed rules that deny a recorded flow.
	CodeDenyRules NoticeCode = "deny-rules"
	// CodeUnlistedProgram: a program that the committed policy does not list opened an allowed flow.
	CodeUnlistedProgram NoticeCode = "unlisted-program"
	// CodeOpaqueRequests: requests could not be read, so policies allow every request (option Requests).
	CodeOpaqueRequests NoticeCode = "opaque-requests"
	// CodeUnusedKept: an update keeps unused rules, because a subtest may have been skipped.
	CodeUnusedKept NoticeCode = "unused-kept"
	// CodeUnusedUnknown: rules may be unused, and a test of their golden file has no complete recording (netzero report).
	CodeUnusedUnknown NoticeCode = "unused-unknown"
	// CodeNotIsolated: the committed policies do not isolate a workload of the cluster (netzero check).
	CodeNotIsolated NoticeCode = "not-isolated"
	// CodeReverseDNS: reverse DNS has a name for an address.
	CodeReverseDNS NoticeCode = "reverse-dns"
)

// Noticef returns a notice with a formatted text.
func Noticef(code NoticeCode, format string, args ...any) Notice {
	return Notice{Code: code, Text: fmt.Sprintf(format, args...)}
}

// Texts returns the texts of notices, in their order.
func Texts(notices []Notice) []string {
	var texts []string
	for _, n := range notices {
		texts = append(texts, n.Text)
	}
	return texts
}

// Announced reports whether notices of the recorder with this code are printed without -v, too. The check decides about
// [CodeNoListener].
func (c NoticeCode) Announced() bool {
	return c == CodeForwarder || c == CodeHiddenListener || !c.Reported()
}

// Reported reports whether notices of the recorder with this code are in the report. The others are only announced.
func (c NoticeCode) Reported() bool { return c != CodeImageBuild && c != CodeStartedTooEarly }

// Compare orders notices by text, then by code. It returns -1, 0 or +1.
func (n Notice) Compare(other Notice) int {
	return cmp.Or(cmp.Compare(n.Text, other.Text), cmp.Compare(n.Code, other.Code))
}
