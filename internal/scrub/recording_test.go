package scrub

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestRecording_EveryCommandLine(t *testing.T) {
	const secret = "hunter2x"
	path := filepath.Join(t.TempDir(), "a.json")
	end := flow.WorkloadEndpoint("db")
	f := flow.Flow{Source: end, Destination: end, Protocol: flow.TCP, Process: flow.Process{
		Name: "psql", Command: "psql --password=" + secret, Exec: "sh -c 'PGPASSWORD=" + secret + " psql'",
	}}
	r := recording.Recording{
		Flows: []flow.Flow{f}, EphemeralPorts: []recording.EphemeralPort{{Flow: f}},
		Initiators: map[recording.Program]recording.Initiator{{Workload: end, Binary: "psql"}: {Process: f.Process}},
	}
	if err := (recording.File{Recording: Recording(r)}).Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Contains(text, []byte(secret)) || bytes.Count(text, []byte("psql --password=***")) != 3 {
		t.Errorf("the file (%v) is\n%s", err, text)
	}
	if r.Flows[0].Process.Command != f.Process.Command {
		t.Error("the recording itself was changed")
	}
}
