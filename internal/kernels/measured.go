package kernels

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// Measurements are the measured values of kernels, by the label of the column and the name of the row.
type Measurements map[string]map[string]string

func (m Measurements) set(label, row, value string) {
	if m[label] == nil {
		m[label] = make(map[string]string)
	}
	m[label][row] = value
}

// table returns the table of these kernels; "" if no row is measured.
func (m Measurements) table(labels []string, rows []capability) string {
	var b strings.Builder
	for _, row := range rows {
		if !row.isMeasured() {
			continue
		}
		if b.Len() == 0 {
			b.WriteString(measuredHead + "\n| | " + strings.Join(labels, " | ") + " |\n|" +
				strings.Repeat("---|", len(labels)+1) + "\n")
		}
		b.WriteString("| " + inCell(row.name))
		for _, label := range labels {
			b.WriteString(" | " + inCell(m[label][row.name]))
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

// ReadMeasurements returns the measured values in a text of [Table].
func ReadMeasurements(text []byte) Measurements {
	m := make(Measurements)
	_, section, _ := bytes.Cut(text, []byte(measuredHeading))
	var labels []string
	for line := range strings.Lines(string(section)) {
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(line), "|"), "|")
		switch {
		case !strings.HasPrefix(line, "| "):
		case labels == nil:
			for _, cell := range cells[2:] {
				labels = append(labels, strings.TrimSpace(cell))
			}
		case len(cells) == len(labels)+2:
			for i, label := range labels {
				if value := strings.TrimSpace(cells[i+2]); value != "" {
					m.set(label, strings.TrimSpace(cells[1]), value)
				}
			}
		}
	}
	return m
}

// Measuring returns the suites with tests that measure, and the pattern of these tests.
func Measuring() (suites []Suite, run string) {
	var tests []string
	for _, c := range capabilities {
		if c.isMeasured() && !slices.Contains(tests, regexp.QuoteMeta(c.test)) {
			tests = append(tests, regexp.QuoteMeta(c.test))
		}
	}
	for _, s := range Suites {
		if slices.ContainsFunc(capabilities, func(c capability) bool { return c.isMeasured() && c.suite == s.Package }) {
			suites = append(suites, s)
		}
	}
	return suites, "^(" + strings.Join(tests, "|") + ")$"
}

// KeepMeasurements writes what these kernels measured into the table of a file that has the other kernels, too. The
// rest of the file stays. It returns the changes.
func KeepMeasurements(file string, results []Result) (changed string, err error) {
	committed, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read table: %w", err)
	}
	rest, _, _ := bytes.Cut(committed, []byte("\n"+measuredHeading))
	labels := labelsOf(rest)
	values := ReadMeasurements(committed)
	for _, r := range results {
		label := r.Kernel.label()
		if !slices.Contains(labels, label) {
			return "", fmt.Errorf("write table: it has no column %s: run make test-kernels", label)
		}
		for _, c := range r.Capabilities {
			if c.State == guest.Measured && r.isMeasured() {
				values.set(label, c.Name, c.Text)
			}
		}
	}
	got := []byte(string(rest) + "\n" + values.table(labels, capabilities))
	if bytes.Equal(committed, got) {
		return "", nil
	}
	if err := os.WriteFile(file, got, 0o644); err != nil {
		return "", fmt.Errorf("write table: %w", err)
	}
	return diffTables(committed, got), nil
}

// labelsOf returns the labels of a table's columns.
func labelsOf(text []byte) (labels []string) {
	for line := range strings.Lines(string(text)) {
		if row, is := strings.CutPrefix(strings.TrimSpace(line), "| | "); is {
			return strings.Split(strings.TrimSuffix(row, " |"), " | ")
		}
	}
	return nil
}

// withoutMeasurements returns the results without the values that an earlier table has already.
func withoutMeasurements(results []Result, earlier Measurements) []Result {
	results = slices.Clone(results)
	for i, r := range results {
		results[i].Capabilities = slices.DeleteFunc(slices.Clone(r.Capabilities), func(c guest.Capability) bool {
			return c.State == guest.Measured && earlier[r.Kernel.label()][c.Name] != ""
		})
	}
	return results
}
