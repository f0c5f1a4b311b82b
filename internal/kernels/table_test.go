package kernels

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// A run passes only if everything is as expected, so its table is known without a run.
func TestTable_Current(t *testing.T) {
	sums, err := Committed()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("../../" + TableFile)
	if err != nil {
		t.Fatal(err)
	}
	var listed []Kernel
	for _, arch := range []Arch{AMD64, ARM64} {
		listed = append(listed, sums.Kernels(arch)...)
	}
	values := ReadMeasurements(committed)
	if want := expectedTable(listed, capabilities, values); !bytes.Equal(committed, want) {
		t.Errorf("%s is not what is expected (-committed +expected): run make test-kernels\n%s", TableFile,
			diffTables(committed, want))
	}
	for _, k := range listed {
		for _, c := range capabilities {
			if c.isMeasured() && values[k.label()][c.name] == "" {
				t.Errorf("%s: %s was not measured: run make test-kernels MEASURE=1", k.label(), c.name)
			}
		}
	}
}

func TestTable_Notes(t *testing.T) {
	old := Kernel{"linux-image-5.10.0-46-cloud-amd64", "5.10.262-1"}
	candidate := Kernel{"linux-binary-7.3-cloud-amd64", "7.3~rc7-1~exp1"}
	other := Kernel{"linux-image-6.12.117+deb13-cloud-arm64", "6.12.117-1"}
	rows := append(testCapabilities[1:], capability{name: "set",
		rules: []rule{{state: guest.Reported, text: "A | B\nC"}}})
	_, got, _ := strings.Cut(string(expectedTable([]Kernel{old, candidate, other}, rows, nil)), tableHead)
	want := `
| | 5.10 | 7.3 | 6.12 arm64 |
|---|---|---|---|
| UDP | recorded | recorded | recorded |
| MPTCP | refused (1) | falls back (2) | recorded |
| set | note 3 | note 3 | note 3 |

1. none
2. to TCP
3. A \| B C
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestTable_PatchRelease(t *testing.T) {
	at := func(versions ...string) string {
		var kernels []Kernel
		for _, v := range versions {
			kernels = append(kernels, Kernel{"linux-image-x-cloud-amd64", v})
		}
		return string(expectedTable(kernels, capabilities, nil))
	}
	if diff := cmp.Diff(at("6.12.117-1", "7.3~rc7-1~exp1"), at("6.12.120-1~deb13u1", "7.3.1-1")); diff != "" {
		t.Errorf("tables differ:\n%s", diff)
	}
}

func TestKeepTable_ReportsChanges(t *testing.T) {
	got := diffTables([]byte("same\nold\n"), []byte("same\nnew\n"))
	if want := "- old\n+ new\n"; got != want {
		t.Errorf("diff %q, want %q", got, want)
	}
	if got := diffTables([]byte("same\n"), []byte("same\n")); got != "" {
		t.Errorf("equal tables differ: %q", got)
	}
}

func TestKeepTable_Stale(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kernels.md")
	results := []Result{{Kernel: testKernel,
		Capabilities: []guest.Capability{{Name: capabilities[0].name, State: guest.Recorded}}}}
	if _, err := KeepTable(file, results, true); !errors.Is(err, ErrStale) {
		t.Errorf("a table that is not there: %v", err)
	}
	if changed, err := KeepTable(file, results, false); err != nil || !strings.Contains(changed, "+ | | 6.12 |\n") {
		t.Errorf("written: changed %q, %v", changed, err)
	}
	if changed, err := KeepTable(file, results, true); err != nil || changed != "" {
		t.Errorf("current: changed %q, %v", changed, err)
	}
	before, _ := os.ReadFile(file)
	results[0].Capabilities[0] = guest.Capability{Name: capabilities[0].name, State: guest.Refused, Text: "why"}
	_, err := KeepTable(file, results, true)
	if want := "+ 1. why"; !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), want) {
		t.Errorf("stale: %v does not say %q", err, want)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("a check has written")
	}
}

// expectedTable returns the expected capabilities of kernels, with these measured values.
func expectedTable(kernels []Kernel, expected []capability, values Measurements) []byte {
	var columns []column
	for _, k := range kernels {
		cells := make(map[string]guest.Capability)
		for _, e := range expected {
			cells[e.name] = e.expected(k)
			if e.isMeasured() {
				cells[e.name] = guest.Capability{Name: e.name, State: guest.Measured, Text: values[k.label()][e.name]}
			}
		}
		columns = append(columns, column{k, cells})
	}
	return writeTable(columns, expected)
}
