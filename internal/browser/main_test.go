package browser

import (
	"flag"
	"os"
	"testing"

	"github.com/netzero-dev/netzero/internal/command"
)

var shots = flag.String("shots", "", "write screenshots of the page to this `DIR`")

// asCommand is the variable with which the test binary is the command netzero.
const asCommand = "NETZERO_BROWSER_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(command.Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}
