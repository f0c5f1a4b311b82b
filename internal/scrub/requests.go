package scrub

import (
	"slices"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Query stands for the query of a request, which may hold anything.
const Query = "?redacted"

// requests returns requests with [Query] in place of their queries. Those that differ in nothing else become one.
func requests(all []flow.Request) []flow.Request {
	all = slices.Clone(all)
	for i := range all {
		if all[i].Query != "" {
			all[i].Query = Query
		}
	}
	return slices.Compact(all) // the query is the last that they are sorted by
}

// Placed replaces the queries of requests in the parts of a recording's file that [Recording] does not have: the flows
// in the cluster. The verdict on requests that become one is the first that does not allow it, or else the first.
func Placed(v *recording.File) {
	for i := range v.Placed.Flows {
		var verdicts []recording.Verdict
		if v.Check != nil && i < len(v.Check.Verdicts) {
			verdicts = v.Check.Verdicts[i].Requests
		}
		f := &v.Placed.Flows[i]
		f.Requests, verdicts = placedRequests(f.Requests, verdicts)
		if verdicts != nil {
			v.Check.Verdicts[i].Requests = verdicts
		}
	}
	for i := range v.Placed.EphemeralPorts {
		f := &v.Placed.EphemeralPorts[i].Flow
		f.Requests, _ = placedRequests(f.Requests, nil)
	}
}

// placedRequests is requests for requests as data, with the verdicts on them, if there are any.
func placedRequests(
	all []recording.Request, verdicts []recording.Verdict,
) (scrubbed []recording.Request, kept []recording.Verdict) {
	for i, r := range all {
		if r.Query != "" {
			r.Query = Query
		}
		at := slices.Index(scrubbed, r)
		if at < 0 {
			scrubbed = append(scrubbed, r)
		}
		switch {
		case len(verdicts) != len(all):
		case at < 0:
			kept = append(kept, verdicts[i])
		case kept[at].Outcome == recording.OutcomeAllowed:
			kept[at] = verdicts[i]
		}
	}
	return scrubbed, kept
}
