package kernels

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// expected returns the expected value of the capability on a kernel.
func (c capability) expected(k Kernel) guest.Capability {
	for _, r := range c.rules {
		if (r.since == "" || compareVersions(k.Number(), r.since) >= 0) &&
			(r.until == "" || compareVersions(k.Number(), r.until) < 0) {
			return guest.Capability{Name: c.name, State: r.state, Text: r.text}
		}
	}
	return guest.Capability{Name: c.name, State: guest.Recorded}
}

// declaration is a capability, and the test that declared it.
type declaration struct {
	guest.Capability
	suite, test string
}

// declarations reads the capabilities in a suite's output.
func (s *SuiteResult) declarations() (said []declaration, err error) {
	test := ""
	for line := range strings.Lines(s.Output) {
		if m := now.FindStringSubmatch(line); m != nil {
			test = m[2]
			continue
		}
		c, found, err := guest.ParseCapability(line)
		if err != nil {
			return said, fmt.Errorf("%s of %s: %w", test, s.Package, err)
		}
		if found {
			said = append(said, declaration{c, s.Package, test})
		}
	}
	return said, nil
}

// compare compares the tests' declarations with the expected values for the kernel, and returns all differences. With
// partial set, a test that did not run need not have declared anything.
func (r *Result) compare(expected []capability, partial bool) (faults []string) {
	said := make(map[string][]declaration)
	for i := range r.Suites {
		all, err := r.Suites[i].declarations()
		if err != nil {
			faults = append(faults, err.Error())
		}
		for _, c := range all {
			said[c.Name] = append(said[c.Name], c)
			if !slices.ContainsFunc(expected, func(e capability) bool { return e.name == c.Name }) {
				faults = append(faults, fmt.Sprintf("on %s, %s: got %s, and %s has no such row: reported by %s of %s",
					r.Name(), c.Name, c.Capability, CapabilityFile, c.test, c.suite))
			}
		}
	}
	var failed []string
	for _, e := range expected {
		i := slices.IndexFunc(r.Suites, func(s SuiteResult) bool { return s.Package == e.suite })
		if i < 0 && partial {
			continue
		}
		want := e.expected(r.Kernel)
		fault := func(got string) {
			faults = append(faults, fmt.Sprintf("on %s, %s: want %s, got %s", r.Name(), e.name, want, got))
		}
		switch got := said[e.name]; {
		case len(got) == 0 && i < 0:
			fault(fmt.Sprintf("nothing: no suite %s runs", e.suite))
		case len(got) == 0:
			verdict := r.Suites[i].verdicts[e.test]
			if verdict == "" && partial {
				continue
			}
			if verdict == "FAIL" {
				failed = append(failed, fmt.Sprintf("%s (want %s): %s of %s", e.name, want, e.test, e.suite))
				continue
			}
			fault(fmt.Sprintf("nothing: %s of %s %s", e.test, e.suite, silence[verdict]))
		case len(got) > 1:
			var who []string
			for _, c := range got {
				who = append(who, fmt.Sprintf("%s of %s reports %s", c.test, c.suite, c.Capability))
			}
			fault(fmt.Sprintf("%d reports: %s", len(got), strings.Join(who, "; ")))
		case !matches(got[0].Capability, want):
			fault(fmt.Sprintf("%s: look at %s of %s, or at %s", got[0].Capability, got[0].test, got[0].suite,
				CapabilityFile))
		case got[0].suite != e.suite || !within(got[0].test, e.test):
			fault(fmt.Sprintf("it from %s of %s, not from %s of %s: change %s", got[0].test, got[0].suite, e.test,
				e.suite, CapabilityFile))
		default:
			r.Capabilities = append(r.Capabilities, got[0].Capability)
		}
	}
	if len(failed) > 0 {
		faults = append(faults, fmt.Sprintf(
			"on %s, %d of %d capabilities are unknown, because their tests failed:\n    %s",
			r.Name(), len(failed), len(expected), strings.Join(failed, "\n    ")))
	}
	return faults
}

// matches reports whether a test declared what is expected. Any value is, if it is measured.
func matches(got, want guest.Capability) bool {
	if want.State == guest.Measured {
		return got.State == guest.Measured && got.Text != ""
	}
	return got == want
}

// within reports whether a test is the same as another one or a subtest of it.
func within(test, of string) bool { return test == of || strings.HasPrefix(test, of+"/") }

// silence is the reason why a test declared nothing, by its verdict.
var silence = map[string]string{
	"":     "did not run",
	"SKIP": "skipped itself",
	"PASS": "passed and reported nothing",
}
