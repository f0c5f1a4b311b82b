package command

import (
	"errors"
	"fmt"

	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/report"
)

var flowsCommand = subcommand{
	name:    "flows",
	args:    "RECORDING...",
	summary: "Writes the flows of recordings as Hubble does: netzero flows FILE | hubble observe --input-file -",
	help: `A recording is a file that NETZERO_RECORDINGS wrote, or an export of Hubble (hubble observe -o
jsonpb, also compressed with gzip), or a directory of files *.json; "-" is one on standard input.
The flows are those of the cluster, after the manifests have given workloads their labels,
namespaces and ports. Notices, and why a recording is incomplete, go to standard error.
Exit status: 0, 1 if a recording cannot be read, 2 for wrong arguments or if the output fails.`,
	run: runFlows,
}

func runFlows(c *call) int {
	format := c.flags.String("o", "jsonpb", "write this `format`: jsonpb (one JSON object a line) or compact (text)")
	var options hubble.Options
	declareDropped(c.flags, &options)
	if status, ok := c.parse(); !ok {
		return status
	}
	write := hubble.Write
	switch *format {
	case "jsonpb":
	case "compact":
		write = hubble.WriteCompact
	default:
		return c.refuse(statusUsage, fmt.Errorf("unknown format %q, want jsonpb or compact", *format))
	}
	if c.flags.NArg() == 0 {
		return c.refuse(statusUsage, errors.New("no recording; NETZERO_RECORDINGS=DIR go test writes one for each test"))
	}
	paths, err := filesOf(c.flags.Args(), ".json")
	if err != nil {
		return c.refuse(statusFailed, fmt.Errorf("read recordings: %w", err))
	}
	for _, path := range paths {
		f, err := readRecording(path, options)
		if err != nil {
			return c.refuse(statusFailed, err)
		}
		for _, n := range f.Recording.Notices {
			fmt.Fprintf(c.stderr, "netzero flows: %s\n", report.Line(n.Text))
		}
		if f.Incomplete != "" {
			fmt.Fprintf(c.stderr, "netzero flows: %s is incomplete: %s\n", report.Line(path), report.Line(f.Incomplete))
		}
		if err := write(c.stdout, f); err != nil {
			return c.refuse(statusUsage, fmt.Errorf("write the flows of %s: %w", path, err))
		}
	}
	return statusOK
}
