package netzerotest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/docker"
	"github.com/netzero-dev/netzero/internal/recorder"
)

// Without a recording, a request stays unchanged. An invalid name is an error in any case.
func TestCustomize_Unrecorded(t *testing.T) {
	var r Recording
	var req testcontainers.GenericContainerRequest
	for _, c := range []testcontainers.ContainerCustomizer{&r, r.As("orders-db")} {
		if err := c.Customize(&req); err != nil {
			t.Error(err)
		}
	}
	if req.Labels != nil || req.LifecycleHooks != nil {
		t.Errorf("got %+v", req)
	}
	const want = `netzero: As("orders_db"): name "orders_db" has '_' at byte 6, only lower-case letters, digits and '-' may stand there: write "orders-db"`
	if err := r.As("orders_db").Customize(&req); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A recording adds to a request, and replaces none of the user's settings.
func TestCustomize_AddsToRequest(t *testing.T) {
	simulation, err := recorder.NewSimulation(recorder.Options{Test: t.Name()}, sceneLeaf, nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	rec := &Recording{live: simulation.Recording()}
	labels := map[string]string{"team": "orders"}
	hooks := testcontainers.ContainerLifecycleHooks{PostStarts: make([]testcontainers.ContainerHook, 3)}
	request := func(dockerfile string) testcontainers.GenericContainerRequest {
		req := testcontainers.GenericContainerRequest{}
		req.Labels, req.LifecycleHooks = labels, []testcontainers.ContainerLifecycleHooks{hooks}
		req.Context = dockerfile
		return req
	}
	req := request("")
	if err := rec.As("db").Customize(&req); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"team": "orders", docker.LabelRecording: rec.live.Label(), docker.LabelWorkload: "db"}
	if diff := cmp.Diff(want, req.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
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
	if err := rec.Customize(&req); err != nil || req.Labels[docker.LabelWorkload] != "db" {
		t.Errorf("once more without a name: %v, %v", err, req.Labels)
	}
	if err := rec.As("cache").Customize(&req); err == nil || !strings.Contains(err.Error(), `the request was named "db" already`) {
		t.Errorf("two names: %v", err)
	}

	built := request(".")
	if err := rec.As("db").Customize(&built); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(labels, built.Labels); diff != "" {
		t.Errorf("labels of an image that is built (-want +got):\n%s", diff)
	}
}
