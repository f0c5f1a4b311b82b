package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestPerRequest_ReturnsTheWorstVerdict(t *testing.T) {
	charge := flow.Request{Protocol: flow.HTTP, Method: "POST", Path: "/charge"}
	health := flow.Request{Protocol: flow.HTTP, Method: "GET", Path: "/healthz"}
	evaluate := func(f flow.Flow) policy.Verdict {
		switch {
		case f.Opaque != "":
			return policy.Verdict{Outcome: policy.Denied, Reason: f.Opaque}
		case len(f.Requests) == 0:
			return policy.Verdict{Outcome: policy.Allowed, Reason: "nothing was sent"}
		case f.Requests[0] == charge:
			return policy.Verdict{Outcome: policy.Allowed, Reason: "rule 0", Notices: []string{"wide", "own"}}
		}
		return policy.Verdict{Outcome: policy.Denied, Reason: f.Requests[0].String(), Notices: []string{"wide"}}
	}
	for name, test := range map[string]struct {
		flow flow.Flow
		want policy.Verdict
	}{
		"no request": {flow.Flow{}, policy.Verdict{Outcome: policy.Allowed, Reason: "nothing was sent"}},
		"one request": {
			flow.Flow{Requests: []flow.Request{health}},
			policy.Verdict{Reason: "GET /healthz", Notices: []string{"wide"}},
		},
		"two requests": {
			flow.Flow{Requests: []flow.Request{charge, health}},
			policy.Verdict{Reason: "GET /healthz", Notices: []string{"wide", "own"}},
		},
		"opaque": {flow.Flow{Requests: []flow.Request{charge, health}, Opaque: "TLS"}, policy.Verdict{Reason: "TLS"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, policy.PerRequest(test.flow, evaluate)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
