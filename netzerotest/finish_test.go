package netzerotest

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// endedRun is a test that has ended.
type endedRun struct {
	attributedRun
	skipped bool
}

func (r endedRun) Skipped() bool { return r.skipped }

const nothingAllowedFile = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: checkout}
spec:
  podSelector: {matchLabels: {app: checkout}}
  policyTypes: [Egress]
`

// concluded ends a recording of one flow, and returns what fails the test.
func concluded(t *testing.T, refused uint64, skipped, alone, panics bool) (failures []string, err error) {
	t.Helper()
	clearEnvironment(t)
	path := filepath.Join(t.TempDir(), "golden.yaml")
	if err := os.WriteFile(path, []byte(nothingAllowedFile), 0o600); err != nil {
		t.Fatal(err)
	}
	quotes := flow.ExternalHost("api.quotes.test")
	quotes.Addr = netip.MustParseAddr("203.0.113.9")
	recorded := recording.Recording{
		Workloads: []recording.Workload{{Name: "checkout"}},
		Flows: []Flow{{
			Source: flow.WorkloadEndpoint("checkout"), Destination: quotes, Protocol: flow.TCP, Port: 443,
			Count: 2, Refused: refused, First: 1, Process: flow.Process{Name: "checkout.test"},
		}},
	}
	run := endedRun{attributedRun{testRun{t}, make(map[string]string), &failures}, skipped}
	r := &Recording{tb: run, golden: path, enforced: true}
	r.config.placement.Workload = "checkout"
	var result check.Result
	func() {
		defer func() { _ = recover() }()
		defer func() { result, err = r.conclude(recorded, nil, alone, alone) }()
		if panics {
			panic("the subject of this test")
		}
	}()
	if text, err := os.ReadFile(path); err != nil || string(text) != nothingAllowedFile {
		t.Errorf("the golden file is now %q (%v)", text, err)
	}
	if result.Placed != nil {
		t.Error("the recording counts as checked")
	}
	return failures, err
}

// The error of a refused call often fails the test before NetZero does.
func TestConclude_RefusalsOfTestsThatAreNotChecked(t *testing.T) {
	for _, row := range []struct {
		reason                 string
		refused                uint64
		skipped, alone, panics bool
		want                   bool // the test fails with a report
	}{
		{"failed by itself, refused", 2, false, true, false, true},
		{"failed by itself, nothing refused", 0, false, true, false, false},
		{"skipped, refused", 1, true, false, false, true},
		{"skipped, nothing refused", 0, true, false, false, false},
		{"panicked, refused", 2, false, false, true, true},
		{"panicked, nothing refused", 0, false, false, true, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			failures, err := concluded(t, row.refused, row.skipped, row.alone, row.panics)
			if isError := err != nil; isError != row.panics {
				t.Errorf("error: %v", err)
			}
			switch {
			case !row.want && len(failures) > 0:
				t.Errorf("it fails with %q", failures)
			case row.want && len(failures) != 1:
				t.Errorf("it fails with %q, want one text", failures)
			case row.want && !strings.Contains(failures[0], ": 1 unexpected flow refused in the kernel (policy "):
				t.Errorf("it fails with\n%s", failures[0])
			}
		})
	}
}

func TestConclude_KeepsTheErrorOfTheRecording(t *testing.T) {
	var failures []string
	r := &Recording{tb: endedRun{attributedRun{testRun{t}, make(map[string]string), &failures}, false}}
	lost := errors.New("an event was lost")
	for _, alone := range []bool{true, false} {
		if _, err := r.conclude(recording.Recording{}, lost, alone, alone); !errors.Is(err, lost) {
			t.Errorf("failed by itself: %v: error: %v", alone, err)
		}
	}
	if len(failures) != 1 || !strings.Contains(failures[0], "recording incomplete: an event was lost") {
		t.Errorf("it fails with %q", failures)
	}
}
