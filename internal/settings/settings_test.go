package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/probe"
)

func asIs(path string) string { return path }

func TestRead(t *testing.T) {
	for _, row := range []struct {
		reason string
		env    string
		want   Settings
	}{
		{"nothing is set", "", Settings{}},
		{"nothing is recorded", "NETZERO=off CI=false", Settings{Off: true}},
		{"recording is required", "NETZERO=require CI=0", Settings{Require: true}},
		{"in CI", "CI=true", Settings{InCI: true, Require: true, CI: CI{Attributes: true}}},
		{
			"in GitHub Actions", "CI=true GITHUB_ACTIONS=true GITHUB_WORKSPACE=/src",
			Settings{InCI: true, Require: true, CI: CI{Attributes: true, GitHub: true, Workspace: "/src"}},
		},
		{
			"in GitHub Actions, and not shown", "CI=true GITHUB_ACTIONS=true NETZERO_CI=off",
			Settings{InCI: true, Require: true},
		},
		{"variables of GitHub on a developer's machine", "GITHUB_ACTIONS=true GITHUB_WORKSPACE=/src", Settings{}},
		{"an update needs a recording", "NETZERO_UPDATE=1", Settings{Update: true, Require: true}},
		{"enforcing needs a recording", "NETZERO_ENFORCE=1", Settings{Enforce: true, Require: true}},
		{"nothing is enforced", "NETZERO_ENFORCE=0", Settings{}},
		{
			"sizes", "NETZERO_RING_BYTES=65536 NETZERO_MAX_FLOWS=100",
			Settings{Sizes: probe.Sizes{RingBytes: 65536, MaxFlows: 100}},
		},
	} {
		t.Run(row.reason, func(t *testing.T) {
			setEnvironment(t, row.env)
			got, err := Read(asIs)
			if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestRead_Invalid(t *testing.T) {
	for _, row := range []struct{ env, want string }{
		{"NETZERO=on", `NETZERO="on": is neither off nor require`},
		{"NETZERO_UPDATE=maybe", `read NETZERO_UPDATE: "maybe" is neither`},
		{"NETZERO_RING_BYTES=0", `NETZERO_RING_BYTES="0": is not a number from 1 to 1073741824`},
		{"NETZERO_RING_BYTES=65537", "NETZERO_RING_BYTES=65537: is not a power of two of at least a page ("},
		{"NETZERO_RING_BYTES=1024", "NETZERO_RING_BYTES=1024: is not a power of two of at least a page ("},
		{"NETZERO_MAX_FLOWS=many", `NETZERO_MAX_FLOWS="many": is not a number from 1 to 1073741824`},
		{"NETZERO_CI=on", `NETZERO_CI="on": is not off`},
		{"NETZERO_ENFORCE=on", `read NETZERO_ENFORCE: "on" is neither 1, true or yes nor`},
		{"NETZERO=off NETZERO_ENFORCE=1", "NETZERO=off and NETZERO_ENFORCE=1 contradict each other: unset one"},
		{"NETZERO=off NETZERO_UPDATE=1", "NETZERO=off and an update of the golden files contradict each other"},
		{"CI=yes NETZERO_UPDATE=1", `CI="yes": golden files are never written in CI`},
	} {
		t.Run(row.env, func(t *testing.T) {
			setEnvironment(t, row.env)
			if _, err := Read(asIs); err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

// setEnvironment sets the variables that [Read] reads, separated by spaces, and unsets the others.
func setEnvironment(t *testing.T, variables string) {
	t.Helper()
	for _, name := range []string{
		"NETZERO", "CI", updateVariable, "NETZERO_ENFORCE", "NETZERO_RING_BYTES", "NETZERO_MAX_FLOWS", "NETZERO_RECORDINGS",
		"NETZERO_SCRUB", "NETZERO_CI", "GITHUB_ACTIONS", "GITHUB_WORKSPACE",
	} {
		t.Setenv(name, "")
	}
	for _, v := range strings.Fields(variables) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
}

func TestRead_RecordingsDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setEnvironment(t, "")
	resolve := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	for value, want := range map[string]string{"": "", dir: dir, "..": filepath.Dir(dir)} {
		t.Setenv("NETZERO_RECORDINGS", value)
		if s, err := Read(resolve); err != nil || s.Recordings != want {
			t.Errorf("%q: %q, %v, want %q", value, s.Recordings, err, want)
		}
	}
	for _, value := range []string{file, filepath.Join(dir, "missing"), "missing"} {
		t.Setenv("NETZERO_RECORDINGS", value)
		_, err := Read(resolve)
		if err == nil || !strings.Contains(err.Error(), "is not an existing directory: make it first") {
			t.Errorf("%q: %v", value, err)
		}
	}
}
