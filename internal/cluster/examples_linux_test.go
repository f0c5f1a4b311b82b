package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/recording"
)

// TestReplay_Examples records each example, and replays it with the committed policies.
func TestReplay_Examples(t *testing.T) {
	for _, example := range []struct{ dir, manifests string }{
		{"examples/httpservice", ""},
		{"examples/externalapi", ""},
		{"examples/postgres", ""},
		{"examples/blackbox", "deploy"},
		{"internal/boutique", "deploy"},
	} {
		t.Run(filepath.Base(example.dir), func(t *testing.T) {
			recordings, dir := t.TempDir(), filepath.Join(root, example.dir)
			goTest(t, dir, []string{"NETZERO_RECORDINGS=" + recordings}, ".")
			manifests := readAll(t, dir, example.manifests)
			for _, path := range filesIn(t, recordings) {
				recorded, err := recording.Read(path)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(recorded.Test, func(t *testing.T) { replayRecording(t, dir, recorded, manifests) })
			}
		})
	}
}

// replayRecording replays a recording with its golden file. It skips files in Cilium's dialect, which
// internal/conformance covers.
func replayRecording(t *testing.T, dir string, recorded recording.File, manifests string) {
	t.Helper()
	golden, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(recorded.Golden)))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(golden), "kind: CiliumNetworkPolicy") {
		t.Skip("in Cilium's dialect, which only Cilium enforces")
	}
	replay(t, Scenario{
		Policies: string(golden), Manifests: manifests, Flows: recorded.Placed.Flows,
		Workloads: recorded.Placed.Workloads, Peers: recorded.Placed.Peers,
	})
}

// readAll returns the YAML files of a directory as one text, or "" if no directory is given.
func readAll(t *testing.T, dir, manifests string) string {
	t.Helper()
	if manifests == "" {
		return ""
	}
	all, err := filepath.Glob(filepath.Join(dir, manifests, "*.yaml"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no manifests in %s: %v", dir, err)
	}
	var b strings.Builder
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
		b.WriteString("\n---\n")
	}
	return b.String()
}
