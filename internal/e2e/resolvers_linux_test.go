package e2e

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

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
	module, err := newModule()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/resolvers",
		Setup:              module.setup,
		Cmds:               commands,
		RequireUniqueNames: true,
		UpdateScripts:      updateScripts,
	})
}
