package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// measurement returns a measured value of the first measured row.
func measurement(value string) guest.Capability {
	for _, c := range capabilities {
		if c.isMeasured() {
			return guest.Capability{Name: c.name, State: guest.Measured, Text: value}
		}
	}
	panic("no row is measured")
}

func TestMeasurements_RoundTrip(t *testing.T) {
	a, b := measurement("12 ms"), measurement("7 ms")
	values := Measurements{"5.10": {a.Name: a.Text}, "6.12 arm64": {b.Name: b.Text}}
	text := "# Head\n\n| | 5.10 |\n|---|---|\n| TCP | recorded |\n\n" +
		values.table([]string{"5.10", "6.1", "6.12 arm64"}, capabilities)
	if diff := cmp.Diff(values, ReadMeasurements([]byte(text))); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if got := ReadMeasurements([]byte("# Head\n\n| | 5.10 |\n|---|---|\n| TCP | recorded |\n")); len(got) != 0 {
		t.Errorf("a file without measured values has %v", got)
	}
}

// A kernel that was not measured keeps its values, and so does the rest of the file.
func TestKeepMeasurements_OtherKernelsStay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kernels.md")
	old := Kernel{"linux-image-5.10.0-46-cloud-amd64", "5.10.262-1"}
	all := []Result{
		{Kernel: old, Accel: Counted, Capabilities: []guest.Capability{
			{Name: capabilities[0].name, State: guest.Recorded}, measurement("1 ms"),
		}},
		{Kernel: testKernel, Accel: Counted, Capabilities: []guest.Capability{measurement("2 ms")}},
	}
	if _, err := KeepTable(file, all, false); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values := func() (first, second string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, name := ReadMeasurements(text), measurement("").Name
		return m["5.10"][name], m["6.12"][name]
	}
	some := []Result{{Kernel: testKernel, Accel: Counted, Capabilities: []guest.Capability{measurement("3 ms")}}}
	if changed, err := KeepMeasurements(file, some); err != nil || !strings.Contains(changed, "| 1 ms | 3 ms |") {
		t.Errorf("changed %q, %v", changed, err)
	}
	if first, second := values(); first != "1 ms" || second != "3 ms" {
		t.Errorf("values are %q and %q", first, second)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(before), "2 ms", "3 ms"), string(after)); diff != "" {
		t.Errorf("the rest of the file changed (-want +got):\n%s", diff)
	}
	if changed, err := KeepMeasurements(file, some); err != nil || changed != "" {
		t.Errorf("once more: changed %q, %v", changed, err)
	}
	for _, accel := range []Accel{KVM, TCG} {
		some[0].Accel, some[0].Capabilities = accel, []guest.Capability{measurement("4 ms")}
		if changed, err := KeepMeasurements(file, some); err != nil || changed != "" {
			t.Errorf("a guest with the host's time, by %s: changed %q, %v", accel, changed, err)
		}
	}
	some[0].Kernel = Kernel{"linux-image-6.1.0-1-cloud-amd64", "6.1.1-1"}
	if _, err := KeepMeasurements(file, some); err == nil || !strings.Contains(err.Error(), "no column 6.1:") {
		t.Errorf("a kernel without a column: %v", err)
	}
}

// Measured values differ between runs, so a check does not compare them.
func TestKeepTable_MeasuredValuesDiffer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kernels.md")
	with := func(value string) []Result {
		return []Result{{Kernel: testKernel, Accel: Counted, Capabilities: []guest.Capability{measurement(value)}}}
	}
	none := []Result{{Kernel: testKernel}}
	if _, err := KeepTable(file, none, false); err != nil {
		t.Fatal(err)
	}
	if _, err := KeepTable(file, with("1 ms"), false); err != nil {
		t.Fatal(err)
	}
	if changed, err := KeepTable(file, with("2 ms"), true); err != nil || changed != "" {
		t.Errorf("another value: changed %q, %v", changed, err)
	}
	if changed, err := KeepTable(file, none, false); err != nil || changed != "" {
		t.Errorf("no value: changed %q, %v", changed, err)
	}
	if changed, err := KeepTable(file, with("2 ms"), false); err != nil || !strings.Contains(changed, "2 ms") {
		t.Errorf("written: changed %q, %v", changed, err)
	}
}

func TestMeasuring_SuitesOfTests(t *testing.T) {
	suites, run := Measuring()
	if len(suites) != 1 || suites[0].Package != inProbe || run != "^("+verifierTest+")$" {
		t.Errorf("measuring are %v of %v", run, suites)
	}
}
