package netlab

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestMain makes the test binary provide the commands of the scripts too.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"netlab": func() { os.Exit(Main()) },
		"fetch":  fetch,
		"talk":   talk,
	})
}

func TestNetlab_Scripts(t *testing.T) {
	testenv.RequireRoot(t)
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs := strings.Fields(string(caches))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Scripts have no home, and inside there is no module proxy.
			env.Setenv("GOCACHE", dirs[0])
			env.Setenv("GOMODCACHE", dirs[1])
			env.Setenv("GOPROXY", "off")
			return nil
		},
	})
}
