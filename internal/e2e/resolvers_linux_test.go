package e2e

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Node and the JDK are tested where they are installed. They are not required, because they are large.
func TestResolvers_SamePolicy(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "musl-gcc", "musl-tools")
	testenv.RequireCommand(t, "curl", "curl")
	testenv.RequireCommand(t, "wget", "wget")
	testenv.RequireCommand(t, "aria2c", "aria2") // the smallest program that uses c-ares
	testenv.RequireCommand(t, "python3", "python3")
	testenv.RequireCommand(t, "perl", "perl")
	run(t, "testdata/resolvers")
}
