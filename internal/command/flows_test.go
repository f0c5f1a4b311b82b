package command

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/hubble/hubbletest"
)

func TestFlows_Formats(t *testing.T) {
	dir := t.TempDir()
	recorded, exported, text := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json"), filepath.Join(dir, "c.txt")
	if err := hubbletest.Recording().Write(recorded); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(text, []byte("no JSON\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var first string
	for _, row := range []struct {
		reason string
		args   []string
		status int
		stdout string // a part of it; empty means that there is none
		stderr string
	}{
		{"a recording as Hubble flows", []string{recorded}, statusOK, `{"flow":{"time":"1970-01-01T00:00:00Z",`, ""},
		{"the export of that", []string{exported}, statusOK, `"pod_name":"cart"`, ""},
		{
			"as text", []string{"-o", "compact", exported, recorded}, statusOK,
			"shop/cart -> api.example.com:443/TCP FORWARDED (TCP Flags: SYN)\n", "",
		},
		{"no argument", nil, statusUsage, "", "no recording; NETZERO_RECORDINGS=DIR go test writes one"},
		{
			"another format", []string{"-o", "dict", recorded}, statusUsage, "",
			`unknown format "dict", want jsonpb or compact`,
		},
		{"another word", []string{"-dropped", "x", recorded}, statusUsage, "", `unknown word "x"`},
		{"no file", []string{recorded + ".missing"}, statusFailed, "", "a.json.missing"},
		{"neither", []string{text}, statusFailed, "", "read recording " + text},
	} {
		var stdout, stderr bytes.Buffer
		status := dispatch(append([]string{"flows"}, row.args...), &stdout, &stderr)
		if status != row.status {
			t.Errorf("%s: status %d, want %d", row.reason, status, row.status)
		}
		for got, want := range map[string]string{stdout.String(): row.stdout, stderr.String(): row.stderr} {
			if !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("%s: %q, want %q in it", row.reason, got, want)
			}
		}
		if first == "" {
			first = stdout.String()
			if err := os.WriteFile(exported, stdout.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := 0
	for _, f := range hubbletest.Flows() {
		want += 1 + len(f.Requests)
	}
	if lines := strings.Count(first, "\n"); lines != want {
		t.Errorf("%d lines for %d flows and requests", lines, want)
	}
}

func TestFlows_SaysWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flows.json")
	line := `{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"3"}}` + "\n"
	if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if status := dispatch([]string{"flows", path}, &stdout, &stderr); status != statusOK || stdout.Len() > 0 {
		t.Errorf("status %d, %q", status, stdout.String())
	}
	want := "netzero flows: " + path + " is incomplete: 3 events of Hubble (HUBBLE_RING_BUFFER) were lost: raise " +
		"hubble.eventBufferCapacity of Cilium, or give hubble observe filters\n"
	if diff := cmp.Diff(want, stderr.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file may be a pipe, as in netzero flows <(ssh ci cat recording.json), which can be read only once.
func TestFlows_FromPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if err := hubbletest.Recording().Write(path); err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	status, exported, stderr := netzero("flows", path)
	if status != statusOK {
		t.Fatal(stderr)
	}
	if status, text, stderr := netzero("flows", filepath.Dir(path)); status != statusOK || text != exported {
		t.Errorf("of its directory: status %d, %s%s", status, text, stderr)
	}
	for reason, text := range map[string]string{"a recording": string(recorded), "an export": exported, "nothing": ""} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.WriteString(w, text)
			w.Close()
		}()
		status, stdout, stderr := netzero("flows", fmt.Sprintf("/dev/fd/%d", r.Fd()))
		r.Close()
		switch {
		case text == "":
			if status != statusFailed || !strings.Contains(stderr, "it is empty") {
				t.Errorf("%s: status %d, %s", reason, status, stderr)
			}
		case status != statusOK || strings.Count(stdout, "\n") != strings.Count(exported, "\n"):
			t.Errorf("%s: status %d, %s%s", reason, status, stdout, stderr)
		}
	}
}
