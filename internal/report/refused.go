package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// explainRefusal is for a developer whose call failed with an error of the kernel.
const explainRefusal = `Enforce refused in the kernel what the policy does not allow. The refused calls failed with ` +
	`"operation not permitted" (EPERM), and nothing of them left the machine.`

// Refused is a flow that the kernel refused although the golden file does not deny it.
type Refused struct {
	Flow   flow.Flow // folded, by flow.Fold
	Reason string    // the reason, in one line
}

// hasRefusals reports whether the kernel refused an attempt.
func (r Report) hasRefusals() bool { return len(r.Refused) > 0 || r.refusedDenied() > 0 }

// refusedDenied returns the number of unexpected flows of which the kernel refused an attempt.
func (r Report) refusedDenied() (n int) {
	for _, d := range r.dependencies() {
		if d.counted() && d.Flow.Refused > 0 {
			n++
		}
	}
	return n
}

// unexpected returns the numbers of unexpected flows and requests in words, with the flows that the kernel refused; ""
// for none.
func (r Report) unexpected() string {
	all, refused := 0, r.refusedDenied()
	for _, d := range r.dependencies() {
		if d.counted() && len(d.requests) == 0 {
			all++
		}
	}
	requests := ""
	if n := r.unexpectedRequests(); n > 0 {
		requests = count(n, "unexpected request")
	}
	if all > 0 && requests != "" {
		requests = ", " + requests
	}
	return unexpectedFlows(all, refused) + requests
}

// unexpectedFlows returns the number of unexpected flows in words, with those that the kernel refused; "" for none.
func unexpectedFlows(all, refused int) string {
	switch {
	case all == 0:
		return ""
	case refused == 0:
		return count(all, "unexpected flow")
	case refused == all:
		return count(all, "unexpected flow") + " refused in the kernel"
	}
	return count(all, "unexpected flow") + ", " + strconv.Itoa(refused) + " of them refused in the kernel"
}

// wouldRefuse says how many of the unexpected flows the kernel would refuse if the test enforced its policy; "" for
// none.
func (r Report) wouldRefuse() string {
	if r.Enforced || r.Lost != "" || r.RunningTest != "" {
		return ""
	}
	all, n := 0, 0
	for _, d := range r.dependencies() {
		if !d.counted() || d.ReportedBy != "" {
			continue
		}
		all++
		if d.WouldRefuse {
			n++
		}
	}
	flows := "this flow"
	switch {
	case n == 0:
		return ""
	case n < all:
		flows = strconv.Itoa(n) + " of these flows"
	case n > 1:
		flows = "these flows"
	}
	return "With NETZERO_ENFORCE=1, the kernel would refuse " + flows + " before a packet leaves."
}

// enforcement returns what Enforce did with a flow, as the label of a field and its text. Both are empty for a flow
// that was not observed, and without Enforce.
func (r Report) enforcement(f flow.Flow) (label, text string) {
	switch {
	case f.Refused > 0:
		return "refused", Refusal(f)
	case r.Enforced && f.Count > 0:
		return "judged", "when the test ended: the kernel let it pass"
	}
	return "", ""
}

// enforced is [Report.enforcement] as one text.
func (r Report) enforced(f flow.Flow) string {
	label, text := r.enforcement(f)
	return strings.TrimSpace(label + " " + text)
}

// Refusal says where a flow was refused, and how many of its attempts: "in the kernel: 2 of 3 attempts". It is "" if
// none was.
func Refusal(f flow.Flow) string {
	n := max(f.Count, f.Refused)
	switch {
	case f.Refused == 0:
		return ""
	case n == 1:
		return "in the kernel"
	}
	return fmt.Sprintf("in the kernel: %d of %d attempts", f.Refused, n)
}

// refused writes the block of a flow that the kernel refused, and that the golden file does not deny.
func (w *writer) refused(one Refused, r Report) {
	d := dependency{Denied: Denied{Flow: one.Flow}}
	w.line(2, d.title(r.Workload))
	w.observed(d, r)
	w.field("note", clean(one.Reason), 5)
}
