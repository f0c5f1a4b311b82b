package e2e

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Like those of resolvers, the programs Node and JDK are tested where they are installed.
func TestEnforce_Programs(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "musl-gcc", "musl-tools")
	testenv.RequireCommand(t, "curl", "curl")
	testenv.RequireCommand(t, "python3", "python3")
	testenv.RequireCommand(t, "perl", "perl")
	run(t, "testdata/programs")
}
