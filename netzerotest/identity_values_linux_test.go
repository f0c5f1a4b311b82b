package netzerotest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/recording/identityrow"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// value returns the row as a value, with the output of both dialects.
func (r identityRow) value(t *testing.T, inKubernetes, inCilium sceneResult) identityrow.Row {
	t.Helper()
	row := identityrow.Row{
		Version: recording.Version, Row: r.dialled + " | " + r.known, Red: inKubernetes.err != nil,
		Manifests: r.scene.manifests, Recorded: inKubernetes.recording,
		NetworkPolicies: goldenOf(t, inKubernetes, inKubernetes.policies(false)),
		Cilium:          goldenOf(t, inCilium, inCilium.policies(true)),
	}
	isOwn := func(w recording.Workload) bool { return !w.AllTraffic }
	if i := slices.IndexFunc(row.Recorded.Placed.Workloads, isOwn); i >= 0 {
		row.Namespace = row.Recorded.Placed.Workloads[i].Namespace
	}
	for _, d := range r.scene.dials {
		dialled := identityrow.Dial{From: d.from, Name: d.name, Port: d.port, Protocol: flow.TCP.String()}
		if d.protocol != 0 {
			dialled.Protocol = d.protocol.String()
		}
		if d.addr != "" {
			dialled.Addr = r.scene.dialled(d).String()
		}
		row.Dials = append(row.Dials, dialled)
	}
	return row
}

// TestIdentityRows_AsData writes one row of each kind: without a committed policy, with one, and with an
// error.
func TestIdentityRows_AsData(t *testing.T) {
	isPlain := func(r identityRow) bool {
		hasAll := r.scene.manifests != "" && len(r.scene.dials) > 0 && len(r.scene.containers) > 0
		return hasAll && r.scene.golden == "" && r.red == ""
	}
	for _, kind := range []struct {
		reason string
		is     func(identityRow) bool
	}{
		{"an ordinary row", isPlain},
		{"a committed policy with a range of ports", func(r identityRow) bool { return r.scene.golden != "" }},
		{"a row that fails", func(r identityRow) bool { return r.red != "" && !r.onlyTests }},
	} {
		t.Run(kind.reason, func(t *testing.T) {
			i := slices.IndexFunc(identityRows, kind.is)
			if i < 0 {
				t.Fatal("there is no such row")
			}
			r := identityRows[i]
			inKubernetes, inCilium := r.scene.play(t, false), r.scene.play(t, true)
			want := r.value(t, inKubernetes, inCilium)
			file := filepath.Join(t.TempDir(), "001.json")
			if err := want.Write(file); err != nil {
				t.Fatal(err)
			}
			got, err := identityrow.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-written +read)\n%s", diff)
			}
			isRed := r.red != ""
			hasNone := got.NetworkPolicies == "" && got.Cilium == ""
			if got.Red != isRed || hasNone != isRed || (got.Recorded.Incomplete != "") != isRed {
				t.Errorf("red: %t, without policies: %t, incomplete: %q; want all of them as the row: %t",
					got.Red, hasNone, got.Recorded.Incomplete, isRed)
			}
			const committed = "endPort: 43999"
			keepsRange := strings.Contains(got.NetworkPolicies, committed) && strings.Contains(got.Cilium, committed)
			if keepsRange != (r.scene.golden != "") {
				t.Errorf("the policies are not those after an update:\n%s\n%s", got.NetworkPolicies, got.Cilium)
			}
			if len(got.Dials) != len(r.scene.dials) {
				t.Errorf("%d dials, want %d", len(got.Dials), len(r.scene.dials))
			}
		})
	}
}
