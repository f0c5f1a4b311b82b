package netzerotest

import (
	"os"
	"testing"

	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/session"
)

// commandOf returns the command that runs one test, or a whole package.
func commandOf(tb host) gotest.Command {
	if isPackage(tb) {
		return gotest.Command{}
	}
	_, isBenchmark := tb.(*testing.B)
	return gotest.Command{Test: tb.Name(), Benchmark: isBenchmark}
}

// acceptCommand returns the command that accepts the recorded flows of a test, from any directory of the module.
func acceptCommand(tb host) string {
	c := commandOf(tb)
	c.Update = true
	return c.String()
}

// acceptCommandHere is acceptCommand for the user who runs this process. If sudo started it, the command contains sudo.
// Benchmarks and fuzz tests only run if the command names them, and one of them may have opened a flow of the package.
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

// runCommand returns the command that runs a test again in the same way, to compare or to update.
func runCommand(tb host, exec string, update bool) string {
	c := commandOf(tb)
	c.Exec, c.Update = exec, update
	return c.String()
}
