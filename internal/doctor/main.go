package doctor

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// The exit statuses of Main.
const (
	StatusRecords = 0
	StatusNot     = 1 // recording is not possible here
	StatusUsage   = 2 // wrong arguments, or the answer could not be written
)

// Main is the command: it writes a diagnosis to stdout and returns the exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: doctor [-json]\n\nIt prints what netzerotest can record on this machine, what is "+
			"missing, and the command that fixes it.\n"+
			"Exit status: 0 tests are recorded here, 1 they are not, 2 wrong arguments.\n\n")
		flags.PrintDefaults()
	}
	asJSON := flags.Bool("json", false, "print the diagnosis as JSON")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return StatusRecords
	case err != nil:
		return StatusUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "doctor: unexpected argument %q: it takes -json only\n", flags.Arg(0))
		return StatusUsage
	}
	d := Diagnose()
	write := d.WriteText
	if *asJSON {
		write = d.WriteJSON
	}
	if err := write(stdout); err != nil {
		fmt.Fprintf(stderr, "doctor: write diagnosis: %v\n", err)
		return StatusUsage
	}
	if !d.Records {
		return StatusNot
	}
	return StatusRecords
}
