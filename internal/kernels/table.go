package kernels

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// TableFile is the path of the committed output of [Table] from the module's root.
const TableFile = "docs/kernels.md"

const tableHead = "# What each kernel records\n" + `
Written by ` + "`make test-kernels`" +
	`, which boots these Debian kernels under QEMU and runs the tests in each. A test reports
what the kernel did after it has passed; nothing is inferred from a version. A column is a series of patch releases; the
newest may still be a release candidate. Kernels before 5.10 are refused, with an error that says so.

[capabilities.go](../` + CapabilityFile +
	`) has what every kernel from 5.10 on is expected to do, with a column or without.
A kernel that does something else, or reports nothing, fails ` + "`make test-kernels`" + `.
`

// measuredHeading starts the table of measured values, which ends the file.
const measuredHeading = "## What the verifier does\n"

const measuredHead = measuredHeading + `
The kernel verifies each program before it attaches it, and Record waits for that. Instructions are those that the
verifier processes, for all programs of an object and for its largest one. The machines are emulated, arm64 too, and
their clock counts a nanosecond for each instruction of theirs: a time here is no time of a machine, and the same
whatever else the host does. So compare it with that of another kernel or of another revision.
[benchmarks.md](benchmarks.md) has what a whole start takes on a machine.

` + "`make test-kernels MEASURE=1`" + ` renews this table, and runs only the tests that measure. No run fails because of
a value.
`

// column is a kernel in the table.
type column struct {
	kernel Kernel
	cells  map[string]guest.Capability // by the capability's name
}

// Table returns the kernels' capabilities in passed runs, in the order of the runs. If a value was not measured, it is
// that of an earlier table.
func Table(results []Result, earlier Measurements) []byte {
	var columns []column
	for _, r := range results {
		cells := make(map[string]guest.Capability)
		for name, value := range earlier[r.Kernel.label()] {
			cells[name] = guest.Capability{Name: name, State: guest.Measured, Text: value}
		}
		for _, c := range r.Capabilities {
			if c.State != guest.Measured || r.isMeasured() {
				cells[c.Name] = c
			}
		}
		columns = append(columns, column{r.Kernel, cells})
	}
	return writeTable(columns, capabilities)
}

func writeTable(columns []column, rows []capability) []byte {
	var b bytes.Buffer
	b.WriteString(tableHead)
	b.WriteString("\n|")
	for _, c := range columns {
		b.WriteString(" | " + c.kernel.label())
	}
	b.WriteString(" |\n|" + strings.Repeat("---|", len(columns)+1) + "\n")
	var notes []string
	for _, row := range rows {
		if row.isMeasured() {
			continue
		}
		b.WriteString("| " + inCell(row.name))
		for _, c := range columns {
			b.WriteString(" | " + cell(c.cells[row.name], &notes))
		}
		b.WriteString(" |\n")
	}
	for i, note := range notes {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%d. %s\n", i+1, note)
	}
	var labels []string
	values := make(Measurements)
	for _, c := range columns {
		labels = append(labels, c.kernel.label())
		for name, cell := range c.cells {
			if cell.State == guest.Measured {
				values.set(c.kernel.label(), name, cell.Text)
			}
		}
	}
	if table := values.table(labels, rows); table != "" {
		b.WriteString("\n" + table)
	}
	return b.Bytes()
}

// cell returns the text of a cell. A long text becomes a numbered note below the table, once.
func cell(c guest.Capability, notes *[]string) string {
	if c.Text == "" {
		return inCell(string(c.State))
	}
	text := inCell(c.Text)
	i := slices.Index(*notes, text)
	if i < 0 {
		i = len(*notes)
		*notes = append(*notes, text)
	}
	if c.State == guest.Reported {
		return fmt.Sprintf("note %d", i+1)
	}
	return fmt.Sprintf("%s (%d)", c.State, i+1)
}

// inCell escapes a text so that it cannot end its cell or its line.
func inCell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// ErrStale is returned if the committed table differs from the kernels' results.
var ErrStale = errors.New(TableFile + " differs from these results (-committed +measured): run make " +
	"test-kernels, and commit the file")

// KeepTable writes the kernels' results if the file differs, and returns the changes. With check set it writes nothing,
// and compares no measured values. Errors: [ErrStale], with the changes.
func KeepTable(file string, results []Result, check bool) (changed string, err error) {
	committed, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read table: %w", err)
	}
	earlier := ReadMeasurements(committed)
	if check {
		results = withoutMeasurements(results, earlier)
	}
	got := Table(results, earlier)
	if bytes.Equal(committed, got) {
		return "", nil
	}
	changed = cmp.Or(diffTables(committed, got), "the order of the lines\n")
	if check {
		return "", fmt.Errorf("%w\n%s", ErrStale, strings.TrimSuffix(changed, "\n"))
	}
	if err := os.WriteFile(file, got, 0o644); err != nil {
		return "", fmt.Errorf("write table: %w", err)
	}
	return changed, nil
}

// diffTables returns the lines in which two tables differ.
func diffTables(committed, got []byte) string {
	var b strings.Builder
	for _, side := range []struct {
		mark      string
		these, of []byte
	}{{"-", committed, got}, {"+", got, committed}} {
		others := strings.Split(string(side.of), "\n")
		for line := range strings.Lines(string(side.these)) {
			if line = strings.TrimSuffix(line, "\n"); !slices.Contains(others, line) {
				fmt.Fprintf(&b, "%s %s\n", side.mark, line)
			}
		}
	}
	return b.String()
}
