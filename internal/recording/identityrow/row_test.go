package identityrow

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
)

func TestRow_ReadAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	want := Row{
		Version: recording.Version, Row: "a | b", Red: true, Namespace: "web", Manifests: "a\nb\n",
		NetworkPolicies: "c", Cilium: "d", Recorded: recording.File{Version: recording.Version, Test: "TestQuote"},
		Dials: []Dial{{From: "cart", Name: "db", Addr: "10.0.0.1", Port: 1, Protocol: "TCP"}},
	}
	if err := want.Write(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

func TestRow_NotWritten(t *testing.T) {
	for _, row := range []struct {
		reason string
		row    Row
		want   string
	}{
		{"a protocol that is none", Row{Dials: []Dial{{Protocol: "tcp"}}}, `dial 0: unknown protocol "tcp"`},
		{
			"a flow without ends",
			Row{Recorded: recording.File{Placed: recording.Placed{Flows: make([]recording.Flow, 1)}}},
			`unknown kind ""`,
		},
	} {
		err := row.row.Write(filepath.Join(t.TempDir(), "a.json"))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %s", row.reason, err, row.want)
		}
	}
}
