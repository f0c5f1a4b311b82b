package check

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/placement"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const noPolicy = "no policy is committed"

// Refusals returns the report of what the kernel refused to a test that [Run] does not check, because it failed by
// itself, panicked or skipped itself: often a refused call is the reason. Other flows are left out. They are those of a
// service that did not work.
//
// It accepts nothing and counts for no other test. The report has a command that accepts the flows, because an update
// enforces nothing. The error does not name the test.
func Refusals(recorded recording.Recording, o Options) (report.Report, []flow.Flow, error) {
	result := o.report()
	if !slices.ContainsFunc(recorded.Flows, isRefused) {
		return result, nil, nil
	}
	placed, err := placement.Place(recorded, o.Placement)
	if err != nil {
		return result, nil, err
	}
	result.Accept = o.Accept
	d := dialectFor(o.dialect(), placed.Scope)
	file, err := compareGolden(&result, o, d, placed.Flows)
	if err != nil {
		return result, nil, err
	}
	result.Denied = slices.DeleteFunc(result.Denied, func(d report.Denied) bool {
		return !isRefused(d.Flow) || d.Request != flow.Request{}
	})
	result.Unprotected, result.Notices = nil, nil
	addIgnored(&result, recorded.Flows, o)
	if file != nil {
		noticeDenied(&result, d, file.Policies, placed.Flows)
	}
	if result.Failed() {
		addReverseDNS(&result, nil, o.ReverseDNS)
	}
	return result, placed.Flows, nil
}

// compareGolden reads the golden file of a test and compares flows with it. Without a golden file, it denies every flow
// and returns nil.
func compareGolden(result *report.Report, o Options, d dialect, flows []flow.Flow) (*golden.File, error) {
	file, err := golden.Read(o.Golden)
	if errors.Is(err, fs.ErrNotExist) {
		for _, f := range flow.Fold(flows) {
			result.Denied = append(result.Denied, report.Denied{Flow: f, Reason: noPolicy})
		}
		return nil, nil
	}
	if err == nil {
		err = o.otherDialect(file)
	}
	if err != nil {
		return nil, err
	}
	compare(result, d, file, flows, nil)
	return file, nil
}

func isRefused(f flow.Flow) bool { return f.Refused > 0 }

// addRefused adds a flow that the kernel refused, although the golden file does not deny it.
func addRefused(result *report.Report, f flow.Flow, v policy.Verdict) {
	allowed := "no policy isolates " + f.Source.String()
	if v.Outcome == policy.Allowed {
		allowed = fmt.Sprintf("policy %s allows it (%s)", v.Policy, v.Reason)
	}
	result.Refused = append(result.Refused, report.Refused{Flow: f, Reason: allowed + ", but the kernel saw no DNS " +
		"answer with this address: dial a name that DNS resolves over UDP"})
}

// addIgnored adds the flows that the kernel refused, and that the option Ignore keeps out of the policy.
func addIgnored(result *report.Report, recorded []flow.Flow, o Options) {
	for _, f := range flow.Fold(recorded) {
		if isRefused(f) && o.Placement.Ignored.Has(f) {
			result.Refused = append(result.Refused, report.Refused{Flow: f, Reason: "the option Ignore leaves it out of " +
				"the policy, but the kernel saw no DNS answer with this address: give Ignore the address too"})
		}
	}
}

// addUncommitted adds the flows that the kernel refused because there is no golden file, as in CI.
func addUncommitted(result *report.Report, flows []flow.Flow) {
	for _, f := range flow.Fold(flows) {
		if isRefused(f) {
			result.Denied = append(result.Denied, report.Denied{Flow: f, Reason: noPolicy})
		}
	}
}

// wouldRefuse reports whether the kernel refuses a flow with this verdict to a test with the option Enforce. Everything
// else that is denied is judged when the test ends: what only the policy of the destination denies, flows that were not
// observed on this machine, old connections, and destinations on this machine or in its containers, whose addresses
// are not known before they run. A container's flow to another one is refused, because its policy knows the names.
func wouldRefuse(f flow.Flow, v policy.Verdict) bool {
	isDenied := v.Outcome == policy.Denied || v.Outcome == policy.Inexpressible
	isObserved := f.Count > 0 && (f.First > 0 || !f.Process.Equal(flow.Process{}))
	if !isDenied || v.Direction == policy.Ingress || !isObserved || f.Before {
		return false
	}
	to := f.Destination
	isHere := to.Addr.IsLoopback() || to.Evidence == flow.ByListener || to.Node
	switch to.Kind {
	case flow.Resolver:
		return false
	case flow.Workload:
		isContainer := f.Source.Addr.IsValid()
		return isContainer && !isHere
	}
	return !isHere
}
