// Package command is the command line of netzero: its subcommands, their flags and their help.
package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/netzero-dev/netzero/internal/report"
)

// The exit statuses. A subcommand that runs another program has that program's.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2 // wrong arguments, or there is no answer
)

// subcommand is one word of the command line.
type subcommand struct {
	name    string
	args    string // after the flags, as the help shows them
	summary string // one line, for the list of subcommands
	help    string // more lines, for its own help; may be empty
	hidden  bool
	run     func(*call) int
}

// call is one use of a subcommand.
type call struct {
	*subcommand
	flags          *flag.FlagSet
	stdout, stderr io.Writer
	arguments      []string // before the flags are parsed
}

var subcommands = []subcommand{
	checkCommand, diffCommand, doctorCommand, execCommand, flowsCommand, policyCommand, reportCommand,
	setupCommand, testCommand, updateCommand,
}

// Main runs the command line, without the program's name, and returns an exit status.
func Main(args []string) int { return dispatch(args, os.Stdout, os.Stderr) }

func dispatch(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		usage(stderr)
		return statusUsage
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		usage(stdout)
		return statusOK
	}
	for _, s := range subcommands {
		if s.name == args[0] {
			c := &call{subcommand: &s, flags: flag.NewFlagSet(s.name, flag.ContinueOnError), stdout: stdout, stderr: stderr,
				arguments: args[1:]}
			c.flags.SetOutput(stderr)
			c.flags.Usage = c.usage
			return s.run(c)
		}
	}
	fmt.Fprintf(stderr, "netzero: unknown command %q; the commands are: %s\n", args[0], strings.Join(names(), ", "))
	return statusUsage
}

func names() []string {
	var all []string
	for _, s := range subcommands {
		if !s.hidden {
			all = append(all, s.name)
		}
	}
	return all
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: netzero command [flags] [arguments]\n\n")
	for _, s := range subcommands {
		if !s.hidden {
			fmt.Fprintf(w, "  %-8s %s\n", s.name, s.summary)
		}
	}
	fmt.Fprint(w, "\nnetzero command -h describes a command.\n")
}

func (c *call) usage() {
	words := []string{"usage: netzero", c.name}
	c.flags.VisitAll(func(*flag.Flag) {
		if len(words) == 2 {
			words = append(words, "[flags]")
		}
	})
	if c.args != "" {
		words = append(words, c.args)
	}
	fmt.Fprintf(c.stderr, "%s\n\n%s\n", strings.Join(words, " "), c.summary)
	if c.help != "" {
		fmt.Fprintf(c.stderr, "\n%s\n", c.help)
	}
	if len(words) > 2 && words[2] == "[flags]" {
		fmt.Fprint(c.stderr, "\n")
		c.flags.PrintDefaults()
	}
}

// parse parses the flags. If ok is false, the subcommand ends with the status.
func (c *call) parse() (status int, ok bool) {
	switch err := c.flags.Parse(c.arguments); {
	case errors.Is(err, flag.ErrHelp):
		return statusOK, false
	case err != nil:
		return statusUsage, false
	}
	return 0, true
}

// fail reports an error and returns the status.
func (c *call) fail(status int, err error) int {
	fmt.Fprintf(c.stderr, "netzero %s: %v\n", c.name, err)
	return status
}

// refuse reports an error, which may hold text of a recording, as one line. It returns the status.
func (c *call) refuse(status int, err error) int {
	return c.fail(status, errors.New(report.Line(err.Error())))
}
