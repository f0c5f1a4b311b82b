package netzerotest

import (
	"strings"
	"testing"

	"github.com/testcontainers/testcontainers-go"

	"github.com/netzero-dev/netzero/internal/recorder"
)

// If nothing is recorded, a request stays unchanged, and an invalid name is still an error.
func TestContainers_Unrecorded(t *testing.T) {
	var r Recording
	var req testcontainers.GenericContainerRequest
	for _, c := range []testcontainers.ContainerCustomizer{&r, r.As("orders-db"), r.AsPeer("orders-db")} {
		if err := c.Customize(&req); err != nil {
			t.Error(err)
		}
	}
	if err := r.Adopt(t.Context(), nil, "orders-db"); err != nil {
		t.Error(err)
	}
	if req.Labels != nil || req.LifecycleHooks != nil {
		t.Errorf("got %+v", req)
	}
	for function, err := range map[string]error{
		"As":     r.As("orders_db").Customize(&req),
		"AsPeer": r.AsPeer("orders_db").Customize(&req),
		"Adopt":  r.Adopt(t.Context(), nil, "orders_db"),
	} {
		want := `netzero: ` + function + `("orders_db"): name "orders_db" has '_' at byte 6, ` +
			`only lower-case letters, digits and '-' may stand there: write "orders-db"`
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestContainers_RecordingHasEnded(t *testing.T) {
	r := Recording{tb: testRun{t}, live: new(recorder.Recording), final: []Flow{}}
	var req testcontainers.GenericContainerRequest
	for want, err := range map[string]error{
		"netzero: the recording of ":                     r.Customize(&req),
		`netzero: As("orders-db"): the recording of `:    r.As("orders-db").Customize(&req),
		`netzero: Adopt("orders-db"): the recording of `: r.Adopt(t.Context(), nil, "orders-db"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want+t.Name()+" has ended") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
