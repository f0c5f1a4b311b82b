package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// update rewrites the files in the scripts that cmp compares with.
var updateScripts = os.Getenv("E2E_UPDATE_SCRIPTS") == "1"

func TestMain(m *testing.M) { testscript.Main(m, programs) }

func TestScripts(t *testing.T) { run(t, "testdata") }

// run runs the scripts in a directory.
func run(t *testing.T, dir string) {
	testenv.RequireRoot(t)
	module, err := newModule()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                dir,
		Setup:              module.setup,
		Cmds:               commands,
		RequireUniqueNames: true,
		UpdateScripts:      updateScripts,
	})
}

// module is the part that the small modules of all scripts share.
type module struct {
	files       map[string][]byte
	environment []string
	cgroup      string // the directory of this process's own
}

func newModule() (*module, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	m := &module{environment: []string{"GOFLAGS=-mod=mod -buildvcs=false -vet=off -ldflags=-w", "GOPROXY=off",
		"GOTOOLCHAIN=local", "GOWORK=off"}}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go env %s: %w", name, err)
		}
		m.environment = append(m.environment, name+"="+strings.TrimSpace(string(out)))
	}
	// The scripts download nothing: the module cache must hold their imports.
	if out, err := exec.Command("go", "list", "-deps", "../../netzerotest").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go list -deps ../../netzerotest: %w: %s", err, out)
	}
	if m.files, err = moduleFiles(root); err != nil {
		return nil, err
	}
	tree, err := cgroup.FindTree()
	if err != nil {
		return nil, err
	}
	m.cgroup, err = tree.Current()
	return m, err
}

// moduleFiles returns the common files of every small module: the requirements of the module at root, so that nothing
// is downloaded, and package client.
func moduleFiles(root string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for name, path := range map[string]string{
		"go.mod":           filepath.Join(root, "go.mod"),
		"go.sum":           filepath.Join(root, "go.sum"),
		"client/client.go": filepath.Join("testdata", "client", "client.go"),
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	const path = "github.com/netzero-dev/netzero"
	text := strings.Replace(string(files["go.mod"]), "module "+path, "module example.test/shop", 1)
	files["go.mod"] = fmt.Appendf(nil, "%s\nrequire %s v0.0.0\n\nreplace %[2]s => %s\n", text, path, root)
	return files, nil
}

// setup makes the directory shop of a script a module, and goes there.
func (m *module) setup(env *testscript.Env) error {
	shop := filepath.Join(env.WorkDir, "shop")
	for name, text := range m.files {
		path := filepath.Join(shop, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	// Users without rights have to get here.
	for _, dir := range []string{filepath.Dir(env.WorkDir), env.WorkDir, env.Getenv("TMPDIR")} {
		if err := os.Chmod(dir, 0o777); err != nil {
			return err
		}
	}
	env.Cd = shop
	env.Vars = append(env.Vars, m.environment...)
	return m.isolate(env)
}

// isolate gives a script a cgroup, which must be empty when it ends: the kernel then has detached every program too, as
// only descriptors hold them.
func (m *module) isolate(env *testscript.Env) error {
	dir, err := os.MkdirTemp(m.cgroup, "e2e-"+filepath.Base(env.WorkDir)+"-")
	if err != nil {
		return err
	}
	env.Setenv(cgroupVariable, dir)
	t := env.T().(testing.TB)
	env.Defer(func() {
		if err := waitEmpty(dir); err != nil {
			t.Error(err)
		}
		if err := clear(dir); err != nil {
			t.Error(err)
		}
	})
	return nil
}
