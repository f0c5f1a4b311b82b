package environments

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
)

// environment is an environment in which a program can start.
type environment struct {
	faults     string // comma-separated names of faults
	attributes *syscall.SysProcAttr
}

// command returns a command that runs this program in the environment, as a test or as the doctor.
func (e environment) command(act string, variables ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "NETZERO") && !strings.HasPrefix(variable, "CI=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(append(cmd.Env, actVariable+"="+act, faultsVariable+"="+e.faults), variables...)
	cmd.SysProcAttr = e.attributes
	return cmd
}

// outcome is the output of a command and its exit code.
type outcome struct {
	text   string
	status int
}

func run(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{string(text), cmd.ProcessState.ExitCode()}
}

// transcript is the complete output in an environment. A test that records with NETZERO=require also records without
// it.
func transcript(t *testing.T, command func(act string, variables ...string) *exec.Cmd) string {
	t.Helper()
	var b strings.Builder
	records := false
	for _, step := range []struct {
		typed, act string
		variables  []string
	}{
		{"NETZERO=require go test -v -run '^TestRecorded$'", "test", []string{"NETZERO=require"}},
		{"go test -v -run '^TestRecorded$'", "test", nil},
		{"go tool netzero doctor -here", "doctor", nil},
	} {
		if records && step.act == "test" {
			continue
		}
		got := run(t, command(step.act, step.variables...))
		fmt.Fprintf(&b, "$ %s\n%s# exit status %d\n", step.typed, got.text, got.status)
		records = records || got.status == 0
	}
	return stable(t, b.String())
}

var unstable = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`\(\d+\.\d\ds\)`), "(0.00s)"},
	// testcontainers-go prints it once any container starts on this machine.
	{regexp.MustCompile(`(?m)^\S+ \S+ github\.com/testcontainers/testcontainers-go - Connected to docker: *\n(  .*\n)+`),
		""},
	{regexp.MustCompile(`recorded_linux_test\.go:\d+`), "recorded_linux_test.go:1"},
	{regexp.MustCompile(`\S*/netzero-\d+-\d+`), "LEAF"},
	// What must be done before depends on the machine: sudo, an engine.
	{regexp.MustCompile(`(let root run once: go tool netzero setup; then )?record with: (go get -tool \S+ && )?`),
		"record with: "},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "127.0.0.1:1"},
	{regexp.MustCompile(`\b2\.6\.\d+\S*`), "2.6.78"},
}

// stable replaces the parts that differ between machines or runs.
func stable(t *testing.T, text string) string {
	t.Helper()
	release, err := probe.Release()
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, release, "RELEASE")
	text = strings.ReplaceAll(text, "linux/"+runtime.GOARCH, "linux/ARCH")
	for _, u := range unstable {
		text = u.pattern.ReplaceAllString(text, u.by)
	}
	text = strings.ReplaceAll(text, tree(t).Root, "TREE")
	// Kernels before 5.11 need this capability too. TestCapabilities_SmallestSet tests that.
	return strings.ReplaceAll(text, ", CAP_SYS_RESOURCE", "")
}

// compare compares a transcript with the golden file of an environment.
func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if os.Getenv("ENVIRONMENTS_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%v; the text is:\n%s", err, got)
	}
	if diff := cmp.Diff(string(want), got); err == nil && diff != "" {
		t.Errorf("%s (-want +got):\n%s\nthe text is:\n%s", name, diff, got)
	}
}

func tree(t *testing.T) cgroup.Tree {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

const nobody = 65534

// unnamed is the fallback of a recording if the programs cannot read the kernel's memory.
const unnamed = "executable names from /proc, until the process exits; each parallel test gets the flows of all"

// ownCgroup returns attributes of a process that starts in a new cgroup with a user as its owner, as in a login session
// under systemd.
func ownCgroup(t *testing.T, uid int) *syscall.SysProcAttr {
	t.Helper()
	here, err := tree(t).Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(here, "environments-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Errorf("remove cgroup: %v", err)
		}
	})
	for _, name := range []string{"", "cgroup.procs"} {
		if err := os.Chown(filepath.Join(dir, name), uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
}

// withCapabilities changes attributes to those of an ordinary user with some capabilities.
func withCapabilities(attributes *syscall.SysProcAttr, set []probe.Capability) *syscall.SysProcAttr {
	attributes.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	for _, c := range set {
		attributes.AmbientCaps = append(attributes.AmbientCaps, c.Number)
	}
	return attributes
}

// bounded returns a fault that leaves root a set of capabilities.
func bounded(set []probe.Capability) string {
	var bits uint64
	for _, c := range set {
		bits |= 1 << c.Number
	}
	return fmt.Sprintf("bounded=%x", bits)
}

// mounts returns attributes of a process with private mounts.
func mounts() *syscall.SysProcAttr { return &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS} }
