package recorder

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
)

// newRecordingOfRequests returns a recording that customizes requests.
func newRecordingOfRequests(t *testing.T) *Recording {
	t.Helper()
	simulation, err := NewSimulation(Options{Test: t.Name()}, 1, nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return simulation.Recording()
}

// customized applies roles to a request, one after the other, as As and AsPeer do.
func customized(rec *Recording, req *testcontainers.GenericContainerRequest, roles ...Role) error {
	for _, role := range roles {
		if err := role.Check(req.Labels); err != nil {
			return err
		}
		if err := rec.Customize(req, role); err != nil {
			return err
		}
	}
	return nil
}

// A recording adds to a request, and replaces none of the user's settings.
func TestCustomize_AddsToRequest(t *testing.T) {
	rec := newRecordingOfRequests(t)
	labels := map[string]string{"team": "orders"}
	hooks := testcontainers.ContainerLifecycleHooks{PostStarts: make([]testcontainers.ContainerHook, 3)}
	request := func() testcontainers.GenericContainerRequest {
		req := testcontainers.GenericContainerRequest{}
		req.Labels, req.LifecycleHooks = labels, []testcontainers.ContainerLifecycleHooks{hooks}
		return req
	}
	req, peer := request(), request()
	if err := customized(rec, &req, Role{Name: "db"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"team": "orders", docker.LabelRecording: rec.Label(), docker.LabelWorkload: "db"}
	if diff := cmp.Diff(want, req.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if err := customized(rec, &peer, Role{Name: "db", Peer: true}); err != nil {
		t.Fatal(err)
	}
	want[docker.LabelPeer] = "true"
	if diff := cmp.Diff(want, peer.Labels); diff != "" {
		t.Errorf("labels of a peer (-want +got):\n%s", diff)
	}
	if len(labels) != 1 {
		t.Errorf("the caller's own map became %v", labels)
	}
	if len(req.LifecycleHooks) != 2 || len(req.LifecycleHooks[0].PostStarts) != 3 {
		t.Errorf("the hooks became %+v", req.LifecycleHooks)
	}
	// If there is a modifier, testcontainers drops the deprecated host fields.
	if req.HostConfigModifier != nil || req.ConfigModifier != nil || req.EndpointSettingsModifier != nil {
		t.Error("a modifier was set")
	}
	if err := rec.Customize(&req, Role{}); err != nil || req.Labels[docker.LabelWorkload] != "db" {
		t.Errorf("once more without a name: %v, %v", err, req.Labels)
	}

	built := request()
	built.Context = "."
	if err := customized(rec, &built, Role{Name: "db"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(labels, built.Labels); diff != "" {
		t.Errorf("labels of an image that is built (-want +got):\n%s", diff)
	}
}

func TestCustomize_RolesOfOneRequest(t *testing.T) {
	rec := newRecordingOfRequests(t)
	db, peer := Role{Name: "db"}, Role{Name: "db", Peer: true}
	for _, row := range []struct {
		reason string
		roles  []Role
		want   string // the start of the error; "" for no error
	}{
		{"passed twice", []Role{db, db}, ""},
		{"a peer twice", []Role{peer, peer}, ""},
		{
			"a workload, then a peer", []Role{db, peer},
			`the request was passed to As("db"), which gives it a policy: keep one of the two`,
		},
		{
			"a peer, then a workload", []Role{peer, db},
			"the request is for a peer, which has no policy (AsPeer, or label dev.netzero.peer): keep one of the two",
		},
		{"two names", []Role{db, {Name: "cache"}}, `the request was named "db" already: keep one`},
		{"two names of a peer", []Role{peer, {Name: "cache", Peer: true}}, `the request was named "db" already: keep one`},
		{"an invalid name", []Role{{Name: "orders_db"}}, `name "orders_db" has '_' at byte 6`},
		{"an empty name", []Role{{}}, "name is empty"},
	} {
		got := ""
		if err := customized(rec, new(testcontainers.GenericContainerRequest), row.roles...); err != nil {
			got = err.Error()
		}
		if (got == "") != (row.want == "") || !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.reason, got, row.want)
		}
	}
	if err := rec.Adopt(t.Context(), nil, "db"); err == nil || err.Error() !=
		"the container is nil: adopt it after Run has started it" {
		t.Errorf("Adopt of nothing: %v", err)
	}
}
