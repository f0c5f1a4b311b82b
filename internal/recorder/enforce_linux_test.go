package recorder

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/enforce"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestEnforcement_DecidingRecording(t *testing.T) {
	e := newEnforcementTest(t)
	with := func(test string) *Recording { return e.recording(test, 443) }
	plain := func(test string) *Recording { return e.recording(test, 0) }
	for _, row := range []struct {
		reason string
		active []*Recording // the first one is the recording in question
		want   string       // the test of the recording that decides
	}{
		{"its own policy", []*Recording{with("TestA")}, "TestA"},
		{"no policy", []*Recording{plain("TestA"), with("TestB")}, ""},
		{"the package's", []*Recording{plain("TestA"), with("package")}, "package"},
		{"its own and the package's", []*Recording{with("TestA"), with("package")}, "TestA"},
		{"of the test around a subtest", []*Recording{plain("TestA/x/y"), with("package"), with("TestA")}, "TestA"},
		{"the same in another order", []*Recording{plain("TestA/x/y"), with("TestA"), with("package")}, "TestA"},
		{"of the nearest one", []*Recording{plain("TestA/x/y"), with("TestA"), with("TestA/x")}, "TestA/x"},
		{"a name that only begins alike", []*Recording{plain("TestAll"), with("TestA")}, ""},
		{"a package without one is in no test", []*Recording{plain("package"), with("TestA")}, ""},
	} {
		got := ""
		if rec := enforcing(row.active[0], row.active); rec != nil {
			got = rec.test
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.reason, got, row.want)
		}
	}
}

func TestEnforcement_UnknownTasks(t *testing.T) {
	e := newEnforcementTest(t)
	a, b := e.recording("TestA", 443), e.recording("TestB", 80)
	none, free := e.recording("TestC", 0), e.recording("TestD", 1)
	free.options.Enforcement.Own = enforce.Table{Unrestricted: true}
	pkg, sub := e.recording("package", 25), e.recording("TestA/x", 0)
	for _, row := range []struct {
		reason string
		active []*Recording
		want   []*Recording
	}{
		{"one recording", []*Recording{a}, []*Recording{a}},
		{"two", []*Recording{a, b}, []*Recording{a, b}},
		{"one has no policy", []*Recording{a, none}, nil},
		{"one is unrestricted", []*Recording{free, a}, nil},
		{"a subtest has that of its test", []*Recording{a, sub}, []*Recording{a}},
		{"a test has that of its package", []*Recording{pkg, none}, []*Recording{pkg}},
		{"no recording", nil, nil},
	} {
		if got := decidingOf(row.active); !slices.Equal(got, row.want) {
			t.Errorf("%s: %d recordings decide, want %d", row.reason, len(got), len(row.want))
		}
	}
}

func TestEnforcement_FollowsRecordings(t *testing.T) {
	e := newEnforcementTest(t)
	plain, a, b := e.recording("TestPlain", 0), e.recording("TestA", 443), e.recording("TestB", 80)
	expect := func(when string, unknown443, unknown80, unknown22 bool) {
		t.Helper()
		for port, want := range map[uint16]bool{443: unknown443, 80: unknown80, 22: unknown22} {
			if got := e.kernel.allows(0, "10.1.2.3", port); got != want {
				t.Errorf("%s: tasks of no known recording may connect to port %d: %t", when, port, got)
			}
		}
	}
	e.join(t, plain)
	if e.kernel.enabled != 0 {
		t.Error("enforcement is enabled for a recording without a policy")
	}
	e.leave(t, plain)

	e.join(t, a)
	expect("with one recording", true, false, false)
	e.join(t, b)
	expect("with two recordings", true, true, false)
	if !e.kernel.allows(a.goroutine, "10.1.2.3", 443) || e.kernel.allows(a.goroutine, "10.1.2.3", 80) ||
		e.kernel.allows(b.goroutine, "10.1.2.3", 443) || !e.kernel.allows(b.goroutine, "10.1.2.3", 80) {
		t.Error("two recordings share their policies")
	}
	e.join(t, plain)
	expect("with a recording without a policy", true, true, true)
	if !e.kernel.allows(plain.goroutine, "10.1.2.3", 22) {
		t.Error("a recording without a policy is enforced")
	}
	e.leave(t, plain)
	expect("when it has ended", true, true, false)
	e.leave(t, a)
	expect("with the second recording alone", false, true, false)
	e.leave(t, b)
	if len(e.kernel.policies) != 0 || e.kernel.enabled != 1 {
		t.Errorf("%d policies are left, and enforcement was enabled %d times", len(e.kernel.policies), e.kernel.enabled)
	}
}

func TestEnforcement_TestOfPackage(t *testing.T) {
	e := newEnforcementTest(t)
	pkg, test := e.recording("package", 443), e.recording("TestA", 0)
	e.join(t, pkg)
	e.join(t, test)
	if err := e.enter(99, pkg); err != nil {
		t.Fatal(err)
	}
	if e.kernel.allows(test.goroutine, "10.1.2.3", 80) || e.kernel.allows(99, "10.1.2.3", 80) {
		t.Error("a test may do what the policy of its package does not allow")
	}
	e.leave(t, test)
	e.leave(t, pkg)
	if len(e.kernel.policies) != 0 {
		t.Errorf("%d policies are left", len(e.kernel.policies))
	}
}

func TestEnforcement_Unrestricted(t *testing.T) {
	e := newEnforcementTest(t)
	pkg, driver := e.recording("package", 443), e.recording("TestDriver", 1)
	driver.options.Enforcement.Own = enforce.Table{Unrestricted: true}
	e.join(t, pkg)
	e.join(t, driver)
	if !e.kernel.allows(driver.goroutine, "10.1.2.3", 80) || !e.kernel.allows(0, "10.1.2.3", 80) {
		t.Error("an unrestricted test process is refused something")
	}
	if e.kernel.allows(pkg.goroutine, "10.1.2.3", 80) {
		t.Error("the policy of the package is not enforced")
	}
}

func TestEnforcement_Unseparated(t *testing.T) {
	for _, row := range []struct {
		reason        string
		active, joins uint16 // their port; 0 for no policy
		want          bool
	}{
		{"two without policies", 0, 0, true},
		{"a policy beside a recording", 0, 443, false},
		{"a recording beside a policy", 443, 0, false},
		{"two policies", 443, 80, false},
	} {
		e := newEnforcementTest(t)
		e.unseparated = "this kernel has no BTF"
		e.join(t, e.recording("TestA", row.active))
		err := e.admit(e.recording("TestB", row.joins), e.active)
		var enforceErr *EnforceError
		if (err == nil) != row.want || err != nil && !errors.As(err, &enforceErr) {
			t.Errorf("%s: %v", row.reason, err)
		}
		if err != nil && !strings.Contains(err.Error(), "TestA is recorded at the same time") {
			t.Errorf("%s: the error is %v", row.reason, err)
		}
		if row.active != 0 && (len(e.kernel.tasks) != 1 || e.kernel.allows(0, "10.1.2.3", 80)) {
			t.Errorf("%s: enforced for %v", row.reason, e.kernel.tasks)
		}
	}
}

func TestEnforcement_KernelFails(t *testing.T) {
	for _, method := range []string{"EnableEnforcement", "NewPolicy", "Enforce"} {
		e := newEnforcementTest(t)
		e.kernel.fails = method
		rec := e.recording("TestA", 443)
		err := e.begin(rec, []*Recording{rec})
		var enforceErr *EnforceError
		if !errors.As(err, &enforceErr) || !errors.Is(err, errKernel) {
			t.Errorf("%s: %v", method, err)
		}
		if len(e.policies) != 0 {
			t.Errorf("%s: %d policies are left", method, len(e.policies))
		}
	}
}

// The policy of unknown tasks is removed in the end, also if it could not be replaced meanwhile.
func TestEnforcement_KernelFailsAtEnd(t *testing.T) {
	e := newEnforcementTest(t)
	a, b := e.recording("TestA", 443), e.recording("TestB", 80)
	for _, err := range []error{e.begin(a, []*Recording{a}), e.begin(b, []*Recording{a, b})} {
		if err != nil {
			t.Fatal(err)
		}
	}
	e.kernel.fails = "NewPolicy"
	if err := e.end(b, []*Recording{a}); !errors.Is(err, errKernel) {
		t.Errorf("the first ends: %v, want the kernel's error", err)
	}
	e.kernel.fails = ""
	if err := e.end(a, nil); err != nil {
		t.Errorf("the last ends: %v", err)
	}
	if len(e.kernel.policies) != 0 {
		t.Errorf("%d policies are left in the kernel", len(e.kernel.policies))
	}
}

func TestEnforcement_LaterContainers(t *testing.T) {
	e := newEnforcementTest(t)
	a, b := e.recording("TestA", 5432), e.recording("TestB", 80)
	e.join(t, a)
	e.join(t, b)
	e.machine.networks = []docker.Network{{ID: "n", Subnets: prefixesOf("10.9.0.0/16", "172.18.0.0/16")}}
	e.machine.containers = []docker.Container{{
		ID: "0123456789abcdef", Networks: []docker.Attachment{{Aliases: []string{"db", "other"}}},
	}}
	if err := e.refresh(); err != nil {
		t.Fatal(err)
	}
	for _, p := range e.policies {
		fresh, err := p.compile(e.enforcement.machine)
		if err != nil {
			t.Fatal(err)
		}
		if left := missing(p.rules, fresh); !isEmpty(left) {
			t.Errorf("a policy misses %v", left)
		}
	}
	if !e.kernel.allows(a.goroutine, "172.18.0.2", 5432) || e.kernel.allows(a.goroutine, "172.18.0.2", 80) {
		t.Error("a network of containers is not reached at the ports of rules for workloads alone")
	}
	before := fmt.Sprint(e.kernel.policies)
	e.kernel.fails = "AddRules"
	if err := e.refresh(); err != nil || fmt.Sprint(e.kernel.policies) != before {
		t.Errorf("rules are added although nothing changed: %v", err)
	}
}

// No test fails because of the ports of another one.
func TestEnforcement_UnionOfManyPorts(t *testing.T) {
	e := newEnforcementTest(t)
	a, b := e.recording("TestA", 443), e.recording("TestB", 443)
	for i, rec := range []*Recording{a, b} {
		var ports []enforce.PortRange
		for n := range uint16(enforce.MaxPorts) {
			ports = append(ports, onePort(2000+uint16(i)*1000+2*n, flow.TCP)...)
		}
		rec.options.Enforcement.Own.Addresses = map[netip.Prefix][]enforce.PortRange{
			netip.MustParsePrefix("10.0.0.0/8"): ports,
		}
		e.join(t, rec)
	}
	if !e.kernel.allows(0, "10.1.2.3", 2000) || !e.kernel.allows(0, "10.1.2.3", 3062) ||
		e.kernel.allows(0, "10.1.2.3", 80) {
		t.Error("tasks of no known recording may not do what any recording allows")
	}
	if e.kernel.allows(a.goroutine, "10.1.2.3", 3062) {
		t.Error("a recording may do what another one allows")
	}
}
