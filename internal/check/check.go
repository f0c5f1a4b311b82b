// Package check compares a recording with the committed policies of its golden file, or updates the file.
//
// The outcome is a value: a report, messages for the test's log, and an error. The package does not import package
// testing, prints nothing and reads no flags. [Options] describe the run. The package refuses to write a policy that
// the next run would change, and to write one from a failed test or an incomplete recording.
//
// A golden file belongs to one test or is shared by several: see [GoldenFile]. The check is the same. Only all tests of
// a file together show which of its rules are unused.
package check

import (
	"cmp"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Package is the package under test.
type Package struct {
	Dir    Dir
	Path   string // the import path; "." if it is not known
	Accept string // the command that runs all tests of the package and accepts what they recorded

	// SourceTests returns the names of the functions in the test files of the package, those of other builds included.
	// It returns none if there are no files, as for a test binary that runs elsewhere. It may be nil.
	SourceTests func() map[string]bool
}

// TestName returns the name of a test of the package in the header of a file that tests share.
func (p Package) TestName(test string) string { return p.Path + "." + test }

// Options are the settings of a check, and facts about the run.
type Options struct {
	Test    string // the test's name, or "package" and the import path for the recording of a package
	Package Package
	Golden  string        // the path of the golden file
	File    *GoldenFile   // the golden file, from [Register.Begin]; only [Run] needs it
	Header  golden.Header // of a golden file of one test

	Placement placement.Options
	Module    string // the path of the user's module; reports show the calls of a flow's stack in it
	Strict    bool   // unused rules and unserved attempts fail the test
	Enforced  bool   // the kernel refused what the golden file does not allow

	Update bool   // write the golden file
	Accept string // the command that accepts the recording

	// Failed says why nothing of the recording is accepted; empty if the test has not failed.
	Failed string
	// Partial says that a flag of go test may have kept parts of the test from running. Then no rule counts as unused.
	Partial bool
	// Skipped returns the place in the source at which a subtest may have skipped itself; empty if none can. It may be
	// nil.
	Skipped func() string

	// ReverseDNS returns the reverse DNS names of addresses. It may be nil.
	ReverseDNS func([]netip.Addr) map[netip.Addr]string
}

// Result is the outcome of a check.
type Result struct {
	// Report is the result of the comparison. An update may have accepted flows that the report lists as denied.
	Report report.Report
	// Messages are for the test's log, in order.
	Messages []Message
	// Announced are lines about the test that must be visible even without -v. They do not name the test.
	Announced []string
	// Placed is the recording in the cluster; nil if no placement was possible.
	Placed *placement.Placement

	dialect   dialect
	committed *golden.File // as it was before an update; nil if there was none
	isUpdated bool         // the golden file was written
}

// Message is one text for the test's log.
type Message struct {
	Text  string
	Fails bool // the test fails
}

// Run compares a complete recording with the golden file or, with Update, writes the file. It returns an error if that
// was not possible. The error does not name the test. A result may have announced lines in addition to an error. If the
// test cannot use the golden file, the report says so too, with the line.
func Run(recorded recording.Recording, o Options) (Result, error) {
	placed, err := Place(recorded, o)
	if err != nil {
		return Result{}, err
	}
	c := &checker{options: o, recorded: recorded, placed: placed}
	c.Placed = &placed
	c.Report = o.report()
	c.Report.Accept = o.Accept
	c.addNotices(recorded.Notices, placed.Notices)
	err = run(c, dialectFor(o.dialect(), placed.Scope))
	return c.Result, err
}

// Place returns the place of a recording in the cluster. The error is a [*recording.OptionError]: placement is not
// possible, or a flow goes to a port that the next run may not have.
func Place(recorded recording.Recording, o Options) (placement.Placement, error) {
	placed, err := placement.Place(recorded, o.Placement)
	if err == nil {
		err = refuseEphemeral(placed, o)
	}
	return placed, err
}

// report returns a report of the test without results.
func (o Options) report() report.Report {
	return report.Report{
		Test: o.Test, Golden: o.relativeGolden(), Workload: o.Placement.Workload, Module: o.Module,
		Enforced: o.Enforced,
	}
}

func (o Options) relativeGolden() string { return o.Package.Dir.Relative(o.Golden) }

// skipped returns the place at which a subtest may have been skipped, or "".
func (o Options) skipped() string {
	if o.Skipped == nil {
		return ""
	}
	return o.Skipped()
}

// checker is the state of one call of [Run].
type checker struct {
	Result
	options  Options
	recorded recording.Recording
	placed   placement.Placement
}

// run is [Run] for the policies of one dialect.
func run(c *checker, d dialect) error {
	o, flows := c.options, c.placed.Flows
	file, err := o.read()
	if err != nil {
		o.noteUnusable(&c.Report, err)
		o.File.reportFaultOnce(&c.Report)
		return err
	}
	c.dialect, c.committed = d, file
	noticeOpaque(&c.Report, d, flows)
	if file == nil {
		text, err := golden.Format(o.header(nil), d.Generate(flows))
		if err != nil {
			return err
		}
		c.Report.Missing, c.Report.Proposed = true, string(text)
		addUncommitted(&c.Report, flows)
		noticeWidened(c, d, nil, flows)
		if !o.File.isShared() && !o.Package.Dir.hasTests() {
			c.notice(recording.CodeNoTests, "there are no tests in this directory: run a test binary in the directory "+
				"of its package, as go test does: that directory has the golden files, and names the workload")
		}
	} else {
		compare(&c.Report, d, file, flows, c.recorded.Initiators)
		noticeForeign(c, d, file)
		c.Report.Diff = golden.Diff(file.Policies, o.File.proposed(d, file.Policies, flows))
		noticeWidened(c, d, file.Policies, flows)
	}
	addIgnored(&c.Report, c.recorded.Flows, o)
	if o.Failed != "" {
		c.Report.Accept = ""
		c.notice(recording.CodeNotAccepted, o.Failed)
	}
	if file != nil {
		noticeDenied(&c.Report, d, file.Policies, flows)
	}
	isAccepted := o.Failed == "" && (o.Update || !c.Report.Failed())
	if err := o.File.end(o, part{d.scope, flows}, isAccepted); err != nil {
		return err
	}
	c.Report.Unused, c.Report.Strict = o.File.unused(file, nil), o.File.isStrict()
	if o.Update && o.Failed == "" {
		err := update(c, d, file)
		c.isUpdated = err == nil
		return err
	}
	c.conclude(flows)
	return nil
}

// conclude adds the report to the messages.
func (c *checker) conclude(flows []flow.Flow) {
	o := c.options
	if !c.Report.Failed() {
		c.log(c.Report.Notes())
		return
	}
	if o.Failed == "" {
		o.File.reportOnce(&c.Report, flows)
	}
	if !o.File.isShared() {
		addReverseDNS(&c.Report, flows, o.ReverseDNS)
	}
	c.fail(c.Report.String())
}

// addNotices adds the notices of a recording and of its placement to the report. Attempts at ports without a listener
// come last. With Strict they fail the test.
func (c *checker) addNotices(recorded, placed []recording.Notice) {
	var attempts []recording.Notice
	for _, n := range slices.Concat(recorded, placed) {
		switch {
		case n.Code == recording.CodeNoListener:
			attempts = append(attempts, n)
		case n.Code.Reported():
			c.Report.Notices = append(c.Report.Notices, n)
		}
	}
	for _, n := range attempts {
		if c.options.Strict {
			c.Report.Unanswered = append(c.Report.Unanswered, n.Text)
		} else { // package testing hides the notices of a passing test
			c.Report.Notices = append(c.Report.Notices, n)
			c.Announced = append(c.Announced, n.Text)
		}
	}
}

func (c *checker) notice(code recording.NoticeCode, text string) {
	c.Report.Notices = append(c.Report.Notices, recording.Notice{Code: code, Text: text})
}

// log adds a text to the test's log, unless it is empty.
func (c *checker) log(text string) {
	if text != "" {
		c.Messages = append(c.Messages, Message{Text: text})
	}
}

func (c *checker) fail(text string) {
	c.Messages = append(c.Messages, Message{Text: text, Fails: true})
}

// read reads the golden file. It returns nil if there is none, and an error if the test may not have this file.
func (o Options) read() (*golden.File, error) {
	file, err := golden.Read(o.Golden)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return file, cmp.Or(o.otherDialect(file), o.sharedByOthers(file))
}

// noteUnusable adds to the report why the golden file cannot be used: an error of [Options.read]. Its path becomes the
// one that the report has, because annotations do not show where a CI keeps the repository.
func (o Options) noteUnusable(result *report.Report, err error) {
	result.Unusable = strings.ReplaceAll(err.Error(), o.Golden, result.Golden)
	var invalid *golden.InvalidError
	if errors.As(err, &invalid) {
		result.UnusableLine = invalid.Line
	}
}
