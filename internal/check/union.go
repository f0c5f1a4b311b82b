package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Union is several complete recordings as one, in the cluster.
type Union struct {
	Tests   []string // that were recorded, as in [golden.Header].Tests; none for recordings of a cluster
	Partial []string // those of Tests that may need flows which no recording of them has; sorted

	Placed     placement.Placement
	Dialect    golden.Dialect // of new policies
	Notices    []recording.Notice
	Initiators map[recording.Program]recording.Initiator
}

// Format returns the text of a new golden file with the policies of the recordings: for one recording the policies that
// an update of its test writes. command is the command in its header. The error is a [*recording.OptionError] for flows
// to ports that the next run may not have.
func (u Union) Format(command string) ([]byte, error) {
	if err := u.refuseEphemeral(""); err != nil {
		return nil, err
	}
	return u.format(command)
}

// refuseEphemeral is refuseEphemeral for a golden file, which may be missing.
func (u Union) refuseEphemeral(path string) error {
	o := Options{Golden: path, Placement: placement.Options{Cilium: u.Dialect == golden.Cilium}}
	return refuseEphemeral(u.Placed, o)
}

func (u Union) format(command string) ([]byte, error) {
	header := golden.Header{Tests: u.Tests, Command: command}
	return golden.Format(header, dialectFor(u.Dialect, u.Placed.Scope).Generate(u.Placed.Flows))
}

// Updated is the outcome of [Union.Update].
type Updated struct {
	Changed bool
	// Missing are the tests that the file lists and that did not record completely. If there are any, unused rules stay.
	Missing []string
	Unused  []string // the unused rules that stay
	Denied  []string // flows that the file denies after the update, by rules that an update keeps
}

// Update updates a golden file as an update of its tests does: it adds what the recordings need, keeps what people
// wrote, and removes rules that no recording needed, if all tests that the file lists have recorded completely. It
// creates a missing file.
//
// packages are known packages under test: a test of them that no longer exists is removed from the list. command is
// the command in the header of a new file.
func (u Union) Update(path, command string, packages ...Package) (Updated, error) {
	if err := u.refuseEphemeral(path); err != nil {
		return Updated{}, err
	}
	var result Updated
	d := dialectFor(u.Dialect, u.Placed.Scope)
	changed, err := golden.Update(path, func(file *golden.File) ([]byte, error) {
		if file == nil {
			return u.format(command)
		}
		if file.Dialect != "" && file.Dialect != u.Dialect {
			return nil, fmt.Errorf("%s holds a %s, and the recordings are for a %s: name another file, or delete this one",
				path, file.Dialect, u.Dialect)
		}
		header, listed, err := u.header(file, command, packages)
		if err != nil {
			return nil, err
		}
		result.Missing = u.missing(listed)
		policies := d.Extend(file.Policies, u.Placed.Flows)
		if len(result.Missing) == 0 {
			policies = d.Merge(file.Policies, u.Placed.Flows)
		} else {
			result.Unused = d.Unused(file.Policies, u.Placed.Flows)
		}
		result.Denied = stillDenied(d, policies, u.Placed.Flows)
		return file.Rewrite(header, policies)
	})
	result.Changed = changed
	return result, err
}

// header returns the header of an existing file after an update, and the tests that have to record before a rule of it
// counts as unused.
func (u Union) header(file *golden.File, command string, packages []Package) (golden.Header, []string, error) {
	if owner := file.OtherTest(""); owner != "" {
		if name := ownerIn(u.Tests, file.Header); name != "" {
			return file.Header, []string{name}, nil
		}
		return golden.Header{}, nil, fmt.Errorf("%s is the golden file of %s, and not all recordings are of that test: "+
			"name another file", file.Path, owner)
	}
	listed := listedIn(file)
	for _, p := range packages {
		listed, _ = p.existing(listed, nil)
	}
	h := golden.Header{Tests: slices.Concat(listed, u.Tests), Command: file.Header.Command}
	if h.Command == "" {
		h.Command = command
	}
	slices.Sort(h.Tests)
	h.Tests = slices.Compact(h.Tests)
	return h, h.Tests, nil
}

// ownerIn returns the test of the recordings that owns a golden file, if it is the only test. The header of a file with
// an owner does not have the test's package.
func ownerIn(tests []string, h golden.Header) string {
	if len(tests) != 1 {
		return ""
	}
	if h.Package != "" && tests[0] == "package "+h.Package ||
		h.Test != "" && (tests[0] == h.Test || strings.HasSuffix(tests[0], "."+h.Test)) {
		return tests[0]
	}
	return ""
}

// missing returns the listed tests that have not recorded completely.
func (u Union) missing(listed []string) []string {
	return slices.DeleteFunc(slices.Clone(listed), func(test string) bool {
		return slices.Contains(u.Tests, test) && !slices.Contains(u.Partial, test)
	})
}

// Unused returns the rules of a golden file that no recording needed, and the tests that may need them: those of the
// recordings and those that the file lists, unless they have recorded completely. packages are known packages under
// test: a test of them that no longer exists needs nothing.
func (u Union) Unused(file *golden.File, packages ...Package) (rules, missing []string) {
	tests := listedIn(file)
	for _, p := range packages {
		tests, _ = p.existing(tests, nil)
	}
	tests = slices.Concat(tests, u.Tests)
	slices.Sort(tests)
	d := dialectFor(file.Dialect, u.Placed.Scope)
	return d.Unused(file.Policies, u.Placed.Flows), u.missing(slices.Compact(tests))
}

// Compared is the outcome of [Union.Compare].
type Compared struct {
	Report report.Report
	// Flows are the flows of the recordings and those that they imply, each with its verdict.
	Flows []FlowVerdict
	// Missing are the tests that the file lists and that did not record completely. What they need may count as unused.
	Missing []string
}

// FlowVerdict is a flow with the verdict of committed policies.
type FlowVerdict struct {
	Flow    flow.Flow
	Implied bool // by the flows of the recordings, such as DNS queries for a name
	policy.Verdict
	Requests []policy.Verdict // on each of the flow's requests; none if it is opaque
}

// Compare compares the recordings with a golden file, in the dialect of the file. The report names neither a test nor a
// command.
//
// Workloads that the file does not isolate are notices, because Kubernetes allows their traffic. If it isolates none of
// those that recorded, they are in Report.Unprotected.
func (u Union) Compare(file *golden.File) Compared {
	d := dialectFor(file.Dialect, u.Placed.Scope)
	c := Compared{Report: report.Report{Golden: file.Path}, Missing: u.missing(listedIn(file))}
	r := &c.Report
	for _, n := range slices.Concat(u.Notices, u.Placed.Notices) {
		if n.Code.Reported() && !slices.Contains(r.Notices, n) {
			r.Notices = append(r.Notices, n)
		}
	}
	noticeOpaque(r, d, u.Placed.Flows)
	compare(r, d, file, u.Placed.Flows, u.Initiators)
	r.Unused = d.Unused(file.Policies, u.Placed.Flows)
	c.Flows = verdicts(d, file, u.Placed.Flows)
	isolates := r.Protected || slices.ContainsFunc(c.Flows, func(v FlowVerdict) bool {
		return v.Outcome == policy.Allowed || v.Outcome == policy.Denied
	})
	if isolates {
		for _, text := range r.Unprotected {
			r.Notices = append(r.Notices, recording.Noticef(recording.CodeNotIsolated, "not protected: %s", text))
		}
		r.Unprotected = nil
	}
	return c
}
