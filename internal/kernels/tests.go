package kernels

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Suite is a package whose tests run in the guests. An ordinary new test of such a package joins them by being there.
type Suite struct {
	Package string            // from the module's root
	Skip    map[string]string // tests that cannot run in a guest, and why
}

// Suites are all of them, in the order in which they run.
var Suites = []Suite{
	{Package: "./internal/cgroup"},
	{Package: "./internal/probe", Skip: map[string]string{
		"TestDestinationIsTheOneBeforeAddressTranslation":     "needs iptables and the kernel's modules for it",
		"TestThreadsThatShareASocketBeforeAddressTranslation": "needs iptables and the kernel's modules for it",
		"TestConnectIsToldOnceBeforeAddressTranslation":       "needs iptables and the kernel's modules for it",
		"TestThreadThatIsOvertakenBeforeAddressTranslation":   "needs iptables and the kernel's modules for it",
		"TestSYNThatIsSentAgainIsOneFlow":                     "needs iptables and the kernel's modules for it",
		"TestMPTCPToFurtherAddressesIsAFlow":                  "needs iproute2",
		"TestPayloadThatIsSentAgainIsNoFlow":                  "needs iptables and the kernel's modules for it",
		"TestFailedCallsBeforeAddressTranslation":             "needs iptables and the kernel's modules for it",
	}},
	{Package: "./internal/endpoint", Skip: map[string]string{
		"TestQuotingSurvivesAShell":                         "needs bash, and nothing of the kernel's",
		"TestProcessWithoutExecutableHasItsThreadName":      "needs /bin/true",
		"TestParentsInsideAContainerEndWithItsFirstProcess": "needs a shell",
		"TestAddressOfThisNamespaceFromAnother":             "needs iproute2",
		"TestClientsOfAUnixSocketAreKnown":                  "needs the kernel's module unix_diag",
		"TestProcessesThatCannotBeListedAreNotNone":         "needs /bin/sleep",
	}},
	{Package: "./internal/session", Skip: map[string]string{
		"TestProcessesThatStartWhileTheSessionIsOpened":     "needs bash",
		"TestProcessesThatOutliveASessionAreInTheNext":      "needs bash",
		"TestProcessesThatLostTheirParentsBeforeTheSession": "needs bash",
		"TestSessionOpensBesideOneThatGoesOnToStartOrphans": "needs bash",
	}},
	{Package: "./netzerotest", Skip: map[string]string{
		"TestUpdateFlagOfRealTests":       "needs the go command and the package's source",
		"TestUpdatesAreNotCached":         "needs the go command and the package's source",
		"TestIdentityRowsAreWhole":        "needs the repository",
		"TestIdentityDocumentIsCurrent":   "needs the repository",
		"TestWhoMayHaveStartedContainers": "needs /bin/true and /bin/sleep",
	}},
	{Package: "./internal/e2e/recorded"},
	{Package: "./internal/escapes", Skip: map[string]string{
		"TestTools":             "needs strace, tcpdump and bpftrace",
		"TestContainers":        "needs Docker",
		"TestDocumentIsCurrent": "needs the repository",
	}},
	// The last one: it locks the kernel down.
	{Package: "./internal/environments", Skip: map[string]string{
		"TestContainers": "needs Docker",
	}},
}

// skipPattern returns what -test.skip takes; empty where nothing is to be skipped.
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
