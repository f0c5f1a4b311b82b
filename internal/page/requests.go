package page

import (
	"cmp"
	"slices"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	maxRequests   = 1000 // requests of a flow in the page, those with the worst verdict first
	firstRequests = 20   // those that a browser without scripts shows at once
)

// request is a kind of request of a flow, whatever tests sent it.
type request struct {
	flow.Request // without host and query
	Verdict      verdict
	Reason       reason
}

// Text returns the request in one printable line.
func (r request) Text() string { return report.Request(r.Request) }

// kindOf returns a request without what differs from client to client: its host and its query.
func kindOf(r flow.Request) flow.Request {
	r.Host, r.Query = "", ""
	return r
}

// unexpectedRequests returns the requests that the golden file denies, by their flow.
func (r Result) unexpectedRequests() map[identity]map[flow.Request]report.Denied {
	all := make(map[identity]map[flow.Request]report.Denied)
	for _, d := range r.Denied {
		if d.Request == (flow.Request{}) {
			continue
		}
		id := identityOf(d.Flow)
		if all[id] == nil {
			all[id] = make(map[flow.Request]report.Denied)
		}
		if kind := kindOf(d.Request); all[id][kind].Request == (flow.Request{}) {
			all[id][kind] = d
		}
	}
	return all
}

// judgeRequests sets the verdicts of the flow's requests: those in unexpected are denied, the others are like the flow.
// A flow with a denied request is denied. before has the verdicts of the time of the test.
func (j *judged) judgeRequests(
	unexpected map[flow.Request]report.Denied, before map[flow.Request]recording.Verdict,
) {
	seen := make(map[flow.Request]bool)
	like := request{Verdict: j.verdict, Reason: j.reason}
	first := true
	for _, sent := range slices.Concat(j.Requests, requestsOf(unexpected)) {
		kind := kindOf(sent)
		if seen[kind] {
			continue
		}
		seen[kind] = true
		one := like
		one.Request = kind
		if old := before[kind]; like.Verdict == allowed && old.Outcome == recording.OutcomeAllowed {
			one.Reason = reason{report.Line(old.Policy), report.Line(old.Reason)}
		}
		if d, isDenied := unexpected[kind]; isDenied && like.Verdict == allowed {
			one.Verdict = denied
			one.Reason = reason{report.Line(d.Policy), report.Line(cmp.Or(d.Reason, "no rule allows it"))}
			if first {
				j.verdict, j.isNew, j.reason = denied, true, one.Reason
				first = false
			}
		}
		j.requests = append(j.requests, one)
	}
	slices.SortFunc(j.requests, compareRequests)
}

// requestsOf returns the requests of a map, sorted.
func requestsOf(unexpected map[flow.Request]report.Denied) []flow.Request {
	var all []flow.Request
	for r := range unexpected {
		all = append(all, r)
	}
	slices.SortFunc(all, flow.Request.Compare)
	return all
}

// compareRequests orders the worst verdict first.
func compareRequests(a, b request) int {
	return cmp.Or(cmp.Compare(a.Verdict, b.Verdict), a.Request.Compare(b.Request))
}

// addRequests adds the requests of a flow in one test to those of the row. Of one in both it keeps the worse verdict.
func (r *row) addRequests(f judged) {
	if f.Opaque != "" && (r.Opaque == "" || f.Opaque < r.Opaque) {
		r.Opaque = report.Line(f.Opaque)
	}
	if len(f.requests) == 0 {
		return
	}
	index := make(map[flow.Request]int)
	for i, one := range r.Requests {
		index[one.Request] = i
	}
	for _, one := range f.requests {
		i, known := index[one.Request]
		switch {
		case !known:
			r.Requests = append(r.Requests, one)
		case one.Verdict < r.Requests[i].Verdict:
			r.Requests[i] = one
		}
	}
	slices.SortFunc(r.Requests, compareRequests)
}

// Asked says how many requests a flow has, or why they are not known: "3 requests", "opaque: TLS". It is "" if none
// were recorded.
func (r row) Asked() string {
	switch {
	case r.Opaque != "":
		return "opaque: " + r.Opaque
	case len(r.Requests) > 0:
		return count(len(r.Requests), "request")
	}
	return ""
}

// FirstRequests returns those that a browser without scripts shows at once.
func (r row) FirstRequests() []request { return r.Requests[:min(len(r.Requests), firstRequests)] }

// MoreRequests returns those that it unfolds.
func (r row) MoreRequests() []request { return r.shownRequests()[len(r.FirstRequests()):] }

func (r row) shownRequests() []request { return r.Requests[:min(len(r.Requests), maxRequests)] }

// requestData returns the requests of a flow for the script: for each the protocol, the text and the verdict.
func (r row) requestData(texts *table) [][3]int {
	all := [][3]int{}
	for _, one := range r.shownRequests() {
		all = append(all, [3]int{
			texts.add(one.Protocol.String()), texts.add(one.Text()), int(one.Verdict),
		})
	}
	return all
}
