package kernels

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

var testCapabilities = []capability{
	{name: "TCP", suite: "./p", test: "TestA"},
	{name: "UDP", suite: "./p", test: "TestA"},
	{name: "MPTCP", suite: "./q", test: "TestB", rules: []rule{
		{until: "6.0", state: guest.Refused, text: "none"},
		{since: "7.1", state: guest.FallsBack, text: "to TCP"},
	}},
}

// test is the output of one passing test.
func test(name string, said ...guest.Capability) string {
	text := "\x16=== RUN   " + name + "\n"
	for _, c := range said {
		text += "    x_test.go:1: " + c.Line() + "\n"
	}
	return text + "\x16--- PASS: " + name + " (0.01s)\n"
}

var (
	tcp   = guest.Capability{Name: "TCP", State: guest.Recorded}
	udp   = guest.Capability{Name: "UDP", State: guest.Recorded}
	mptcp = guest.Capability{Name: "MPTCP", State: guest.Recorded}
)

// evaluated evaluates the output of the tests of two suites.
func evaluated(t *testing.T, partial bool, p, q string) Result {
	t.Helper()
	records := whole()
	records[2].Text, records[5].Text = p, q
	o := outcome{received: sendAll(t, records), status: guest.PassedStatus}
	return evaluate(testKernel, testSuites, testCapabilities, partial, o, machines[AMD64])
}

func TestExpect_Match(t *testing.T) {
	r := evaluated(t, false, test("TestA", tcp, udp), test("TestB", mptcp))
	if !r.Passed() {
		t.Errorf("faults %q", r.Faults)
	}
	if diff := cmp.Diff([]guest.Capability{tcp, udp, mptcp}, r.Capabilities); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	if r := evaluated(t, true, "\x16PASS\n", test("TestB", mptcp)); !r.Passed() {
		t.Errorf("a partial run without TestA: faults %q", r.Faults)
	}
}

func TestExpect_Mismatch(t *testing.T) {
	refused := guest.Capability{Name: "MPTCP", State: guest.Refused, Text: "none"}
	for _, c := range []struct {
		reason  string
		partial bool
		p, q    string
		want    string
	}{
		{"less than expected", false, test("TestA", tcp, udp), test("TestB", refused),
			"on 6.12.117, MPTCP: want recorded, got refused: none: look at TestB of ./q, or at " +
				"internal/kernels/capabilities.go"},
		{"the same in a partial run", true, "\x16PASS\n", test("TestB", refused),
			"on 6.12.117, MPTCP: want recorded, got refused: none"},
		{"nothing said", false, test("TestA", tcp), test("TestB", mptcp),
			"on 6.12.117, UDP: want recorded, got nothing: TestA of ./p passed and reported nothing"},
		{"nothing said in a partial run", true, test("TestA", tcp), "\x16PASS\n",
			"got nothing: TestA of ./p passed and reported nothing"},
		{"its test failed", false, "\x16=== RUN   TestA\n\x16--- FAIL: TestA (0.01s)\n", test("TestB", mptcp),
			"2 of 3 capabilities are unknown, because their tests failed:\n" +
				"        TCP (want recorded): TestA of ./p\n"},
		{"its test was skipped", false, test("TestC") + "\x16--- SKIP: TestA (0.01s)\n", test("TestB", mptcp),
			"TCP: want recorded, got nothing: TestA of ./p skipped itself"},
		{"its test is gone", false, test("TestC"), test("TestB", mptcp),
			"TCP: want recorded, got nothing: TestA of ./p did not run"},
		{"said twice", false, test("TestA", tcp, udp, tcp), test("TestB", mptcp),
			"TCP: want recorded, got 2 reports: TestA of ./p reports recorded; TestA of ./p reports recorded"},
		{"said by two tests", false, test("TestA", tcp, udp), test("TestB", mptcp, tcp),
			"TCP: want recorded, got 2 reports: TestA of ./p reports recorded; TestB of ./q"},
		{"said by another test", false, test("TestA", tcp) + test("TestAB", udp), test("TestB", mptcp),
			"UDP: want recorded, got it from TestAB of ./p, not from TestA"},
		{"of no row", false, test("TestA", tcp, udp, guest.Capability{Name: "DCCP", State: guest.Recorded}),
			test("TestB", mptcp),
			"on 6.12.117, DCCP: got recorded, and internal/kernels/capabilities.go has no such row: " +
				"reported by TestA of ./p"},
		{"spoilt", false, test("TestA", tcp, udp) + "kernel capability: {\n", test("TestB", mptcp), "read capability"},
	} {
		r := evaluated(t, c.partial, c.p, c.q)
		if r.Passed() || !strings.Contains(r.Text(false), c.want) {
			t.Errorf("%s: the text does not say %q:\n%s", c.reason, c.want, r.Text(false))
		}
	}
}

// A row that is measured takes any value, and needs one.
func TestExpect_Measured(t *testing.T) {
	expected := []capability{{name: "time", suite: "./p", test: "TestA", rules: measured()}}
	for _, c := range []struct {
		reason string
		said   []guest.Capability
		want   string // of the faults; "" for none
	}{
		{"a value", []guest.Capability{{Name: "time", State: guest.Measured, Text: "12 ms"}}, ""},
		{"no value", []guest.Capability{{Name: "time", State: guest.Measured}}, "want measured, got measured"},
		{"no measurement", []guest.Capability{{Name: "time", State: guest.Recorded}}, "want measured, got recorded"},
		{"nothing", nil, "want measured, got nothing"},
	} {
		records := whole()
		records[2].Text, records[5].Text = test("TestA", c.said...), test("TestB")
		o := outcome{received: sendAll(t, records), status: guest.PassedStatus}
		r := evaluate(testKernel, testSuites, expected, false, o, machines[AMD64])
		if c.want == "" && (!r.Passed() || !slices.Equal(r.Capabilities, c.said)) ||
			c.want != "" && !strings.Contains(strings.Join(r.Faults, "\n"), c.want) {
			t.Errorf("%s: faults %q, capabilities %v", c.reason, r.Faults, r.Capabilities)
		}
	}
}

func TestExpect_ByKernelNumber(t *testing.T) {
	for version, want := range map[string]string{
		"5.10.262-1": "refused: none", "5.15.1-1": "refused: none", "6.0.1-1": "recorded", "6.19.3-1": "recorded",
		"7.0.9-1":        "recorded",
		"7.1~rc1-1~exp1": "falls back: to TCP", "7.1.1-1": "falls back: to TCP", "7.10.1-1": "falls back: to TCP",
		"10.0.1-1": "falls back: to TCP",
	} {
		k := Kernel{"linux-image-x-cloud-amd64", version}
		if got := testCapabilities[2].expected(k).String(); got != want {
			t.Errorf("%s: expected %q, want %q", version, got, want)
		}
	}
}

// This test finds a missing test, or a capability that its test no longer declares, before a guest runs.
func TestCapabilities_HaveTests(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range capabilities {
		if seen[c.name] {
			t.Errorf("%s is there twice", c.name)
		}
		seen[c.name] = true
		if !slices.ContainsFunc(Suites, func(s Suite) bool { return s.Package == c.suite }) {
			t.Errorf("%s: %s is not among the suites", c.name, c.suite)
		}
		files, err := filepath.Glob(filepath.Join("../..", c.suite, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(content)
		}
		if !regexp.MustCompile(`(?m)^func ` + c.test + `\(`).MatchString(text.String()) {
			t.Errorf("%s: %s has no %s", c.name, c.suite, c.test)
		}
		if !strings.Contains(text.String(), `"`+c.name+`"`) {
			t.Errorf("%s: no test of %s says it", c.name, c.suite)
		}
	}
}
