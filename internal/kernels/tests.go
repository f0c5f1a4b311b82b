package kernels

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Suite is a package with tests that run in the guests. A new test in such a package runs without further
// configuration.
type Suite struct {
	Package string            // from the module's root
	Skip    map[string]string // tests that cannot run in a guest, and why
}

// Suites are all suites, in the order of running.
var Suites = []Suite{
	{Package: "./internal/cgroup"},
	{Package: "./internal/probe", Skip: map[string]string{
		"TestTranslation_DestinationIsTheNamedOne": "needs iptables and the kernel's modules for it",
		"TestTranslation_ThreadsShareSocket":       "needs iptables and the kernel's modules for it",
		"TestTranslation_ConnectReportedOnce":      "needs iptables and the kernel's modules for it",
		"TestTranslation_OvertakenThread":          "needs iptables and the kernel's modules for it",
		"TestSYN_RetransmissionIsOneFlow":          "needs iptables and the kernel's modules for it",
		"TestMPTCP_AdditionalAddresses":            "needs iproute2",
		"TestEachSocket_RootWithoutPtrace":         "needs cat",
		"TestConnections_RetransmissionIsNoFlow":   "needs iptables and the kernel's modules for it",
		"TestTranslation_FailedCalls":              "needs iptables and the kernel's modules for it",
	}},
	{Package: "./internal/endpoint", Skip: map[string]string{
		"TestCommandLine_ShellRoundTrip":    "needs bash, and nothing of the kernel's",
		"TestReadProcess_ThreadName":        "needs /bin/true",
		"TestInside_FirstProcess":           "needs a shell",
		"TestInside_OtherUser":              "needs a shell and nsenter",
		"TestListeners_OtherUser":           "needs the kernel's module tcp_diag",
		"TestIdentify_OtherNamespace":       "needs iproute2",
		"TestClients_UnixSocket":            "needs the kernel's module unix_diag",
		"TestClients_Inherited":             "needs the kernel's module unix_diag",
		"TestClients_EndsDuringSearch":      "needs the kernel's module unix_diag",
		"TestClients_WithoutProcess":        "needs the kernel's module unix_diag",
		"TestDescendants_UnreadableIsError": "needs /bin/sleep",
	}},
	{Package: "./internal/session", Skip: map[string]string{
		"TestOpen_ProcessesStartedMeanwhile": "needs bash",
		"TestOpen_SurvivorsOfEarlierSession": "needs bash",
		"TestOpen_OlderOrphans":              "needs bash",
		"TestOpen_ForkingSibling":            "needs bash",
		"TestDescribe_EndsDuringRead":        "needs nsenter and a shell",
	}},
	{Package: "./netzerotest", Skip: map[string]string{
		"TestUpdate_FlagOfRealTests":   "needs the go command and the package's source",
		"TestUpdate_NotCached":         "needs the go command and the package's source",
		"TestIdentityRows_Complete":    "needs the repository",
		"TestIdentityDocument_Current": "needs the repository",
	}},
	{Package: "./internal/recorder", Skip: map[string]string{
		"TestOlderContainers_MayStartContainers": "needs /bin/true and /bin/sleep",
	}},
	{Package: "./internal/e2e/recorded"},
	{Package: "./internal/escapes", Skip: map[string]string{
		"TestWaysOut_Tools":              "needs strace, tcpdump and bpftrace",
		"TestWaysOut_Containers":         "needs Docker",
		"TestWaysOut_ContainersEnforced": "needs Docker",
		"TestDocument_Current":           "needs the repository",
	}},
	// The last one: it locks the kernel down.
	{Package: "./internal/environments", Skip: map[string]string{
		"TestEnvironments_Docker": "needs Docker",
	}},
}

// skipPattern returns the argument of -test.skip; empty if no test is skipped.
func (s Suite) skipPattern() string {
	if len(s.Skip) == 0 {
		return ""
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Skip)) {
		names = append(names, regexp.QuoteMeta(name))
	}
	return "^(" + strings.Join(names, "|") + ")$"
}
