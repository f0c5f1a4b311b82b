package setup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/doctor"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// childVariable makes this test binary a command that a helper runs.
const childVariable = "NETZERO_SETUP_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		os.Exit(m.Run())
	}
	d := doctor.Diagnose()
	for _, c := range d.Checks {
		if c.Status == doctor.Failed {
			fmt.Println(c)
		}
	}
	fmt.Println("records:", d.Records, "uid:", os.Getuid())
	os.Exit(0)
}

// builtHelper returns the helper, built once.
var builtHelper = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "netzero-helper-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "helper")
	cmd := exec.Command("go", "build", "-tags=netzero_helper", "-buildvcs=false", "-trimpath", "-o", path,
		"github.com/netzero-dev/netzero/netzerotest/cmd/netzero")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the helper: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// place is an installation in a directory and with a group of the test's own.
type place struct {
	Installation
	program []byte
	said    []string
}

// newPlace returns a place in which nothing is installed.
func newPlace(t *testing.T) *place {
	t.Helper()
	testenv.RequireRoot(t)
	program, err := builtHelper()
	if err != nil {
		t.Fatal(err)
	}
	p := &place{program: program}
	p.Installation = Installation{
		Helper: filepath.Join(publicDir(t), "libexec", "netzero", "netzero-helper"),
		Group:  "nz-test-" + strings.ToLower(rand.Text()[:10]),
		Report: func(change string) { p.said = append(p.said, change) },
	}
	t.Cleanup(func() {
		p.Report = func(string) {}
		if err := p.removeGroup(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// publicDir returns a directory that other users reach.
func publicDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// install installs the helper for a user, and returns what was said, one change in a line.
func (p *place) install(t *testing.T, member *user.User) string {
	t.Helper()
	p.said = nil
	if err := p.Install(t.Context(), p.program, member); err != nil {
		t.Fatal(err)
	}
	return p.lines()
}

// lines returns what was said, with names that do not change.
func (p *place) lines() string {
	text := strings.Join(p.said, "\n") + "\n"
	if gid, err := p.findGroup(); err == nil {
		text = strings.ReplaceAll(text, "(gid "+strconv.Itoa(gid)+")", "(gid N)")
	}
	return strings.NewReplacer(filepath.Dir(filepath.Dir(p.Helper)), "LIBEXEC", p.Group, "GROUP").Replace(text)
}

func lookup(t *testing.T, a testenv.Account) *user.User {
	t.Helper()
	u, err := user.Lookup(a.Name)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// member is a user who may run the helper, in a cgroup that belongs to root and is empty when the test ends.
type member struct {
	testenv.Account
	*place
	cgroup string
	binary string // this test binary, where the user may run it
}

func newMember(t *testing.T) *member {
	t.Helper()
	m := &member{place: newPlace(t), Account: testenv.User(t)}
	m.install(t, lookup(t, m.Account))
	gid, err := m.findGroup()
	if err != nil {
		t.Fatal(err)
	}
	m.Groups = append(m.Groups, uint32(gid))
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	current, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	if m.cgroup, err = os.MkdirTemp(current, "setup-test-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.mustBeEmpty(t)
		// A process that is about to be reaped is in no list, but keeps its cgroup.
		var err error
		if !within(time.Minute, func() bool { err = os.Remove(m.cgroup); return err == nil }) {
			t.Error(err)
		}
	})
	if err := os.Chmod(m.cgroup, 0o755); err != nil { // as every cgroup
		t.Fatal(err)
	}
	m.binary = filepath.Join(publicDir(t), "setup.test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.binary, self, 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

// run returns a command that the helper runs for the user.
func (m *member) run(t *testing.T, env []string, command ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(command[0])
	if err != nil {
		t.Fatal(err)
	}
	return m.runHelper(t, env, append([]string{"--", path}, command[1:]...)...)
}

func (m *member) runHelper(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := m.Command(t, env, m.Helper, args...)
	dir, err := os.Open(m.cgroup)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return cmd
}

// mustBeEmpty waits until no process and no cgroup of the helper is left. The supervisor ends after the command.
func (m *member) mustBeEmpty(t *testing.T) {
	t.Helper()
	var left string
	if !within(time.Minute, func() bool { left = m.left(t); return left == "" }) {
		t.Errorf("the helper left: %s", left)
	}
}

// left names the processes and cgroups below the cgroup of the test.
func (m *member) left(t *testing.T) string {
	t.Helper()
	var left []string
	err := filepath.WalkDir(m.cgroup, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		if path != m.cgroup {
			left = append(left, "cgroup "+filepath.Base(path))
		}
		procs, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
			return nil
		}
		for _, pid := range strings.Fields(string(procs)) {
			left = append(left, "process "+pid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(left, ", ")
}

// within waits until a condition is true, and reports whether that happened in time.
func within(d time.Duration, condition func() bool) bool {
	for deadline := time.Now().Add(d); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
