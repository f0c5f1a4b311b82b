package browser

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// requests returns the shop with requests. checkout sends 500 to cart, and the last one is denied. frontend uses TLS.
func requests() page.Run {
	run := shop()
	asking := &run.Results[0].Flows[1]
	for i := range 500 {
		asking.Requests = append(asking.Requests, flow.Request{
			Protocol: flow.GRPC, Method: "POST", Host: "cart", Path: fmt.Sprintf("/shop.Cart/Method%03d", i),
		})
	}
	run.Results[0].Denied = append(run.Results[0].Denied, report.Denied{
		Flow: *asking, Request: asking.Requests[499], Policy: "checkout", Reason: "Method499 is not listed",
	})
	run.Results[1].Flows[1].Opaque = "TLS"
	return run
}

func TestRequests_InTable(t *testing.T) {
	w := open(t, rendered(t, requests()))
	for _, row := range []struct {
		reason, query string
		want          []string
	}{
		{"a request", "shop.Cart/Method007", []string{"checkout > cart:7070"}},
		{"a protocol", "gRPC", []string{"checkout > cart:7070"}},
		{"an opaque flow", "opaque", []string{"frontend > cart:7070"}},
		{"a denied request denies its flow", "verdict:denied port:7070", []string{"checkout > cart:7070"}},
	} {
		w.do(filterBy(row.query))
		if diff := cmp.Diff(row.want, w.pairs()); diff != "" {
			t.Errorf("%s: %s (-want +got)\n%s", row.reason, row.query, diff)
		}
	}
	w.do(filterBy("from:checkout to:cart"))
	if got := w.text("#rows tr.flow td:nth-child(4)"); got != "TCP 500 requests" {
		t.Errorf("protocol %q", got)
	}
	w.click("#rows .toggle")
	visible := func() int {
		return eval[int](w, `[...document.querySelectorAll("#rows .requests li")].filter(li => li.checkVisibility()).length`)
	}
	if n := visible(); n != 20 {
		t.Errorf("%d requests are visible, want 20", n)
	}
	if got := w.text("#rows .requests li"); got != "denied gRPC POST /shop.Cart/Method499" {
		t.Errorf("the first request is %q", got)
	}
	w.click("#rows .requests summary")
	if n := visible(); n != 500 {
		t.Errorf("%d requests are visible after unfolding, want 500", n)
	}
	w.do(filterBy("from:frontend to:cart"))
	if got := w.text("#rows tr.flow td:nth-child(4)"); got != "TCP opaque: TLS" {
		t.Errorf("protocol %q", got)
	}
}
