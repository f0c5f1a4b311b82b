package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

const (
	maxRequest  = 100 // columns of a request
	maxRequests = 5   // listed requests of one flow; the others are counted
)

// Request returns a request in one printable line, without its host and query: "POST /api/v1/charge", "produce
// orders". Of a longer one it returns the first 99 columns and "…".
func Request(r flow.Request) string {
	return cut(clean(r.String()), maxRequest)
}

// cut returns a text of at most so many columns, also within a word.
func cut(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// isRequest reports whether a request of the flow is denied, and not the flow itself.
func (d Denied) isRequest() bool { return d.Request != flow.Request{} }

// addRequest adds a denied request to those of the same flow. One that differs only in its host or query is the same.
func (d *dependency) addRequest(r flow.Request) {
	r.Host, r.Query = "", ""
	if d.added == nil {
		d.added = make(map[flow.Request]bool)
	}
	if !d.added[r] {
		d.added[r] = true
		d.requests = append(d.requests, Request(r))
	}
}

// sameFlow returns the dependency at the end of a list that has denied requests of the same flow, or nil.
func sameFlow(all []dependency, d Denied) *dependency {
	for i := len(all) - 1; i >= 0 && all[i].Flow.Compare(d.Flow) == 0; i-- {
		if len(all[i].requests) > 0 && all[i].ReportedBy == d.ReportedBy {
			return &all[i]
		}
	}
	return nil
}

// more returns the denied requests after the first, in at most maxRequests texts of which the last may be a number.
func (d dependency) more() []string {
	if len(d.requests) <= maxRequests {
		return d.requests[min(1, len(d.requests)):]
	}
	rest := len(d.requests) - maxRequests
	return append(slices.Clone(d.requests[1:maxRequests]), fmt.Sprintf("... and %s", count(rest, "more request")))
}

// also returns [dependency.more] as one line, "" for none.
func (d dependency) also() string {
	if more := d.more(); len(more) > 0 {
		return "also: " + strings.Join(more, ", ")
	}
	return ""
}

// size is how many unexpected flows or requests a dependency is.
func (d dependency) size() int { return max(1, len(d.requests)) }

// sizeOf returns the number of unexpected flows and requests that count by themselves.
func sizeOf(all []dependency) (n int) {
	for _, d := range all {
		if d.counted() {
			n += d.size()
		}
	}
	return n
}

// unexpectedRequests returns the number of unexpected requests.
func (r Report) unexpectedRequests() (n int) {
	for _, d := range r.dependencies() {
		n += len(d.requests)
	}
	return n
}
