package command

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the command itself.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// asCommand is the variable with which the test binary is the command.
const asCommand = "NETZERO_COMMAND_TEST"
