package kernels

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// Result is the result of one kernel.
type Result struct {
	Wanted  Wanted
	Kernel  Kernel
	Faults  []string // the reasons of a failure; empty: it passed
	Suites  []SuiteResult
	Log     []string // the kernel's lines
	Took    time.Duration
	CPU     time.Duration // of the host, by this guest alone
	Tests   int           // run tests of all suites, without subtests
	Skipped []string      // tests that skipped themselves, as package: test

	// Capabilities are those with the expected value.
	Capabilities []guest.Capability

	// Accel is what ran the guest; empty: TCG.
	Accel Accel

	impossible error // an error of all kernels
}

// SuiteResult is the result of one package's tests.
type SuiteResult struct {
	Package string
	Tests   int // without subtests
	Took    time.Duration
	Failed  []string
	Output  string // all that was written

	verdicts map[string]string // PASS, FAIL or SKIP, of tests and subtests
	skipped  []string
	ended    bool
}

// Passed reports whether everything ran and succeeded.
func (r Result) Passed() bool { return len(r.Faults) == 0 }

// isMeasured reports whether times in the guest do not depend on the host.
func (r Result) isMeasured() bool { return r.Accel == Counted }

// AsListed reports whether the kernel is of the requested series. If Debian has dropped a release candidate, its
// successor ran instead.
func (r Result) AsListed() bool { return r.Kernel.Is(r.Wanted.Kernel) }

// Name returns the kernel's name for people.
func (r Result) Name() string {
	name, arch := r.Kernel.Upstream(), r.Kernel.Arch()
	if r.Kernel == (Kernel{}) {
		name, arch = r.Wanted.Kernel, r.Wanted.Arch
	}
	if arch != AMD64 {
		name += " " + string(arch)
	}
	return name
}

// evaluate returns the result of a guest's run. With partial set, a suite may have no test that matches.
func evaluate(k Kernel, suites []Suite, expected []capability, partial bool, o outcome, m machine) Result {
	r := Result{Kernel: k, Took: o.took, CPU: o.cpu}
	fault := func(format string, args ...any) { r.Faults = append(r.Faults, fmt.Sprintf(format, args...)) }
	if o.err != nil {
		fault("%v", o.err)
	}
	records, log, err := guest.Parse(o.received)
	r.Log = log
	if err != nil {
		fault("%v", err)
	}
	release, kernelLog := "nothing", ""
	for _, s := range suites {
		r.Suites = append(r.Suites, SuiteResult{Package: s.Package})
	}
	for _, record := range records {
		i := slices.IndexFunc(r.Suites, func(s SuiteResult) bool { return s.Package == record.Package })
		switch record.Kind {
		case guest.Hello:
			release = record.Text
		case guest.Fault:
			fault("%s", record.Text)
		case guest.Kernel:
			kernelLog += record.Text
		case guest.Output:
			if i >= 0 {
				r.Suites[i].Output += record.Text
			}
		case guest.End:
			if i >= 0 {
				r.Suites[i].ended = true
				if record.Text != "" {
					fault("%s: %s", record.Package, record.Text)
				}
			}
		}
	}
	if kernelLog != "" {
		r.Log = append(r.Log, strings.Split(strings.TrimSpace(kernelLog), "\n")...)
	}
	if want := k.Release(); release != want {
		fault("the guest runs %s, want %s", release, want)
	}
	for i := range r.Suites {
		s := &r.Suites[i]
		s.count()
		r.Tests += s.Tests
		for _, name := range s.skipped {
			r.Skipped = append(r.Skipped, s.Package+": "+name)
		}
		switch {
		case len(s.Failed) > 0:
			fault("%s: %s failed", s.Package, strings.Join(s.Failed, ", "))
		case !s.ended:
			fault("%s: its tests did not end%s", s.Package, s.running())
		case s.Tests == 0 && !partial:
			fault("%s: none of its tests ran", s.Package)
		}
	}
	if r.Tests == 0 && partial {
		fault("no test ran")
	}
	r.Faults = append(r.Faults, r.compare(expected, partial)...)
	if r.Passed() && o.status != m.passed() {
		fault("%s ended with status %d, want %d", m.program, o.status, m.passed())
	}
	if !r.Passed() {
		r.Faults = append(r.refused(), r.Faults...) // the cause comes first
	}
	return r
}

// refusal matches the loader's error for a program that the kernel rejects, with the verifier's reason.
var refusal = regexp.MustCompile(`program \w+: load program: .*`)

// refused returns the rejected programs without duplicates: every test repeats them.
func (r *Result) refused() (refusals []string) {
	for _, s := range r.Suites {
		for _, found := range refusal.FindAllString(s.Output, -1) {
			if found = "refused by the kernel: " + found; !slices.Contains(refusals, found) {
				refusals = append(refusals, found)
			}
		}
	}
	return refusals
}

// verdict matches the test framework's result of a test; the mark in front distinguishes it from tests' output.
var verdict = regexp.MustCompile(`\x16\s*--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+s)\)`)

// count finds the verdicts in the output. A test that skipped itself did not run.
func (s *SuiteResult) count() {
	s.verdicts = make(map[string]string)
	for _, m := range verdict.FindAllStringSubmatch(s.Output, -1) {
		s.verdicts[m[2]] = m[1]
		if strings.Contains(m[2], "/") {
			if m[1] == "SKIP" {
				s.skipped = append(s.skipped, m[2])
			}
			continue
		}
		took, _ := time.ParseDuration(m[3]) // in the guest's time
		s.Took += took
		switch m[1] {
		case "SKIP":
			s.skipped = append(s.skipped, m[2])
			continue
		case "FAIL":
			s.Failed = append(s.Failed, m[2])
		}
		s.Tests++
	}
}

// running names the tests that had started and not ended.
func (s *SuiteResult) running() string {
	var names []string
	for _, m := range now.FindAllStringSubmatch(s.Output, -1) {
		if m[1] == "RUN" && s.verdicts[m[2]] == "" {
			names = append(names, m[2])
		}
	}
	if len(names) == 0 {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

// Text returns the result for people: one line for a pass, everything relevant for a failure. verbose returns
// everything.
func (r Result) Text(verbose bool) string {
	var b strings.Builder
	word := "ok  "
	if !r.Passed() {
		word = "FAIL"
	}
	skipped := ""
	if len(r.Skipped) > 0 {
		skipped = fmt.Sprintf(", %d skipped", len(r.Skipped))
	}
	fmt.Fprintf(&b, "%s %s (%d tests%s, %.1fs, %.1fs of CPU)\n", word, r.Name(), r.Tests, skipped, r.Took.Seconds(),
		r.CPU.Seconds())
	for _, fault := range r.Faults {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(strings.TrimSpace(fault), "\n", "\n    "))
	}
	for _, s := range r.Suites {
		output := s.Output
		if !verbose {
			output = s.interesting()
		}
		if output != "" && (verbose || !r.Passed()) {
			fmt.Fprintf(&b, "    --- %s on %s (%v)\n%s\n", s.Package, r.Name(), s.Took,
				strings.TrimRight(strings.ReplaceAll(output, "\x16", ""), "\n"))
		}
	}
	if !r.Passed() && len(r.Log) > 0 {
		const most = 40
		fmt.Fprintf(&b, "    --- the kernel %s\n%s\n", r.Name(), strings.Join(r.Log[max(0, len(r.Log)-most):], "\n"))
	}
	return b.String()
}

// now matches the test that the following lines belong to.
var now = regexp.MustCompile(`\x16=== (RUN|PAUSE|CONT|NAME)\s+(\S*)`)

// interesting returns the output without that of successful tests.
func (s SuiteResult) interesting() string {
	fine := make(map[string]bool)
	for _, m := range verdict.FindAllStringSubmatch(s.Output, -1) {
		if !strings.Contains(m[2], "/") && m[1] != "FAIL" {
			fine[m[2]] = true
		}
	}
	var b strings.Builder
	test := ""
	for line := range strings.Lines(s.Output) {
		if m := now.FindStringSubmatch(line); m != nil {
			test, _, _ = strings.Cut(m[2], "/")
			continue
		}
		if m := verdict.FindStringSubmatch(line); m != nil {
			test, _, _ = strings.Cut(m[2], "/")
		}
		if !fine[test] && strings.TrimSpace(line) != "\x16PASS" {
			b.WriteString(line)
		}
	}
	return b.String()
}
