package cost

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	output = flag.String("write", "", "measure for half an hour, and write sections of the document to this `directory`")
	rounds = flag.Int("rounds", 7, "with -write: how often each way alternates with the others")
)

// times returns how often to repeat a measurement, and how long one of it takes.
func times() (n int, each time.Duration) {
	if *output == "" {
		return 1, 20 * time.Millisecond
	}
	return *rounds, time.Second
}

// write writes a section of the document, or a picture.
func write(t *testing.T, name, text string) {
	t.Helper()
	if *output == "" {
		t.Log(text)
		return
	}
	if err := os.WriteFile(filepath.Join(*output, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// figure writes a value by which an aim is judged: a line with a name and a number.
func figure(t *testing.T, name string, value float64) {
	t.Helper()
	line := fmt.Sprintf("%s %.4f\n", strings.ReplaceAll(name, " ", "-"), value)
	if *output == "" {
		t.Log(line)
		return
	}
	f, err := os.OpenFile(filepath.Join(*output, "figures"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(line); err != nil {
		t.Fatal(err)
	}
}

// median returns the median; of an even number, the lower one of the two.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)/2]
}

// ratios divides each value by the one of the same round.
func ratios(values, bases []float64) []float64 {
	all := make([]float64, len(values))
	for i := range values {
		all[i] = values[i] / bases[i]
	}
	return all
}

// duration formats nanoseconds with a unit that suits them.
func duration(ns float64) string {
	switch {
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.1f µs", ns/1e3)
	case ns < 1e9:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	}
	return fmt.Sprintf("%.2f s", ns/1e9)
}
