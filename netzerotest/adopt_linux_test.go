package netzerotest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recorder"
)

func TestAsPeer_MarksRequest(t *testing.T) {
	simulation, err := recorder.NewSimulation(recorder.Options{Test: t.Name()}, sceneLeaf, nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	rec := &Recording{live: simulation.Recording()}
	labels := map[string]string{"team": "orders"}
	request := func() testcontainers.GenericContainerRequest {
		req := testcontainers.GenericContainerRequest{}
		req.Labels = labels
		return req
	}
	req := request()
	if err := rec.AsPeer("orders-db").Customize(&req); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"team": "orders", docker.LabelRecording: rec.live.Label(), docker.LabelWorkload: "orders-db", docker.LabelPeer: "true",
	}
	if diff := cmp.Diff(want, req.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if len(labels) != 1 {
		t.Errorf("the caller's own map became %v", labels)
	}
	if err := rec.AsPeer("orders-db").Customize(&req); err != nil {
		t.Errorf("twice: %v", err)
	}

	with := func(customizers ...testcontainers.ContainerCustomizer) error {
		req := request()
		for _, c := range customizers {
			if err := c.Customize(&req); err != nil {
				return err
			}
		}
		return nil
	}
	for _, row := range []struct {
		reason string
		err    error
		want   string // "" for no error
	}{
		{"passed as well", with(rec, rec.AsPeer("orders-db")), ""},
		{"a workload, then a peer", with(rec.As("orders-db"), rec.AsPeer("orders-db")),
			`netzero: AsPeer("orders-db"): the request was passed to As("orders-db"), which gives it a policy: keep one of the two`},
		{"a peer, then a workload", with(rec.AsPeer("orders-db"), rec.As("orders-db")),
			`netzero: As("orders-db"): the request is for a peer, which has no policy (AsPeer, or label dev.netzero.peer): keep one of the two`},
		{"two names", with(rec.AsPeer("orders-db"), rec.AsPeer("db")), `netzero: As("db"): the request was named "orders-db" already`},
		{"an invalid name", with(rec.AsPeer("orders_db")), `netzero: AsPeer("orders_db"): name "orders_db" has '_' at byte 6`},
		{"an invalid name where nothing is recorded", with((&Recording{}).AsPeer("orders_db")), `netzero: AsPeer("orders_db"): name "orders_db" has '_' at byte 6`},
		{"nothing is recorded", with((&Recording{}).AsPeer("orders-db")), ""},
		{"Adopt with an invalid name", (&Recording{}).Adopt(t.Context(), nil, "orders_db"), `netzero: Adopt("orders_db"): name "orders_db" has '_' at byte 6`},
		{"Adopt where nothing is recorded", (&Recording{}).Adopt(t.Context(), nil, "orders-db"), ""},
		{"Adopt of nothing", rec.Adopt(t.Context(), nil, "orders-db"), `netzero: Adopt("orders-db"): the container is nil: adopt it after Run has started it`},
	} {
		got := ""
		if row.err != nil {
			got = row.err.Error()
		}
		if (got == "") != (row.want == "") || !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.reason, got, row.want)
		}
	}
}
