package netzerotest

import (
	"os"
	"testing"

	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/session"
)

// commandOf is the command that runs one test, or a whole package.
func commandOf(tb host) gotest.Command {
	if isPackage(tb) {
		return gotest.Command{}
	}
	_, isBenchmark := tb.(*testing.B)
	return gotest.Command{Test: tb.Name(), Benchmark: isBenchmark}
}

// acceptCommand is the command that accepts what a test recorded, from anywhere in the module.
func acceptCommand(tb host) string {
	c := commandOf(tb)
	c.Update = true
	return c.String()
}

// acceptCommandHere is acceptCommand for the user who runs this process. Under sudo it needs sudo again. A benchmark or
// a fuzz test may have opened a flow of the package, and they run only if the command says so.
func acceptCommandHere(tb host) string {
	c := commandOf(tb)
	c.Update = true
	if os.Getenv("SUDO_UID") != "" {
		c.Exec = session.ExecSudo
	}
	if isPackage(tb) {
		for _, flags := range [][]string{{"bench"}, {"fuzz", "fuzztime"}} {
			for _, name := range flags {
				if gotest.Flag("test."+flags[0]) != "" {
					c.Flags = append(c.Flags, "-"+name+" "+gotest.Quote(gotest.Flag("test."+name)))
				}
			}
		}
	}
	return c.String()
}

// runCommand is the command that runs a test again as it was run: to compare, or to update.
func runCommand(tb host, exec string, update bool) string {
	c := commandOf(tb)
	c.Exec, c.Update = exec, update
	return c.String()
}
