package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// patience is the time limit of every step: a hanging engine must not block the tests.
const patience = time.Minute

// prefix starts the names of everything that these tests make.
var prefix = fmt.Sprintf("netzero-docker-%d-", os.Getpid())

var image = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "netzero")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", binary, "./testdata/program")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = errors.Join(w.WriteHeader(&tar.Header{Name: "program", Mode: 0o755, Size: int64(len(content))}),
		write(w, content), w.Close())
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	name := fmt.Sprintf("netzero-test/docker:%d", os.Getpid())
	load := exec.CommandContext(ctx, "docker", "import", "--change", `ENTRYPOINT ["/program"]`, "-", name)
	load.Stdin = &archive
	if out, err := load.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	made = name
	return name, nil
})

var made string // the image, once it exists

func write(w *tar.Writer, content []byte) error {
	_, err := w.Write(content)
	return err
}

func TestMain(m *testing.M) {
	code := m.Run()
	if made != "" {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if out, err := exec.CommandContext(ctx, "docker", "image", "rm", "--force", made).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "remove image: %v\n%s", err, out)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// requireDocker skips the test unless a Docker engine answers.
func requireDocker(t *testing.T) {
	t.Helper()
	testenv.RequireCommand(t, "docker", "docker.io")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "docker", "version").CombinedOutput(); err != nil {
		if reason := fmt.Sprintf("this test needs a Docker engine that answers: %v\n%s", err, out); testenv.Required() {
			t.Fatal("NETZERO_TEST_REQUIRE=1: " + reason)
		} else {
			t.Skip(reason)
		}
	}
}

// rig is a watched engine, and a test's objects in it.
type rig struct {
	*testing.T
	w     *Watcher
	image string
	home  string // a network
}

// newRig watches the engine that testcontainers finds.
func newRig(t *testing.T) *rig { return newRigAt(t, Config{}) }

func newRigAt(t *testing.T, c Config) *rig {
	t.Helper()
	requireDocker(t)
	name, err := image()
	check(t, err)
	w, err := Watch(t.Context(), c)
	check(t, err)
	t.Cleanup(func() { check(t, w.Close()) })
	return &rig{T: t, w: w, image: name}
}

// docker runs Docker's client and returns what it printed.
func (r *rig) docker(args ...string) string {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// network makes a network that is removed with the test, and returns its name and ID.
func (r *rig) network(name string, flags ...string) (string, string) {
	r.Helper()
	name = prefix + name
	id := r.docker(append(append([]string{"network", "create"}, flags...), name)...)
	r.Cleanup(func() { r.docker("network", "rm", name) })
	return name, id
}

// run starts a container that is removed with the test, and returns its ID. It waits for a signal. Without a network in
// the flags it is in the test's own: the engine's default may be disabled.
func (r *rig) run(name string, flags ...string) string {
	r.Helper()
	if !slices.Contains(flags, "--network") {
		if r.home == "" {
			r.home, _ = r.network(name + "-home")
		}
		flags = append(flags, "--network", r.home)
	}
	return r.make(name, "run", append([]string{"--detach"}, flags...)...)
}

// make makes a container by a command of Docker's client, which prints its ID.
func (r *rig) make(name, command string, flags ...string) string {
	r.Helper()
	r.Cleanup(func() { r.remove(name) })
	args := append([]string{command, "--name", prefix + name}, flags...)
	return r.docker(append(args, r.image, "wait")...)
}

// remove removes a container, if it exists, whatever its current name.
func (r *rig) remove(name string) {
	r.Helper()
	if id := r.docker("ps", "--all", "--quiet", "--filter", "name=^/"+prefix+name+"$"); id != "" {
		r.docker("rm", "--force", id)
	}
}

// container returns the watcher's history of a container, after a Sync.
func (r *rig) container(id string) Container {
	r.Helper()
	r.sync()
	c, ok := r.w.Container(id)
	if !ok {
		r.Fatalf("container %s is not known", id)
	}
	return c
}

func (r *rig) sync() {
	r.Helper()
	check(r.T, r.w.Sync(r.Context()))
}

// named returns the only container with a name.
func (r *rig) named(name string) Container {
	r.Helper()
	r.sync()
	var found []Container
	for _, c := range r.w.Containers() {
		if c.Name == prefix+name {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		r.Fatalf("%d containers are named %s", len(found), prefix+name)
	}
	return found[0]
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
