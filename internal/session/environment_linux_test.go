package session

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestMain lets the test binary be a program that tries to be recorded, in an environment that it may first spoil.
func TestMain(m *testing.M) {
	spoil, child := os.LookupEnv("SESSION_TEST_CHILD")
	if !child {
		os.Exit(m.Run())
	}
	if err := record(spoil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("recorded")
	os.Exit(0)
}

// record opens a session, and makes sure that it sees a flow.
func record(spoil string) error {
	if err := spoilers[spoil](); err != nil {
		return fmt.Errorf("spoil %s: %w", spoil, err)
	}
	flows := make(chan *probe.FlowEvent, 100)
	s, err := Open(probe.Sizes{}, func(events []probe.Event) {
		for _, e := range events {
			if e, ok := e.(*probe.FlowEvent); ok {
				flows <- e
			}
		}
	}, nil)
	if err != nil {
		return err
	}
	net.Dial("tcp", "127.0.0.1:1")
	if err := s.Probe.Sync(); err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if len(flows) == 0 {
		return errors.New("the session saw no flow")
	}
	return nil
}

// spoilers change what a process sees of the machine, in its own mount namespace.
var spoilers = map[string]func() error{
	"": func() error { return nil },
	"read-only": func() error {
		tree, err := cgroup.FindTree()
		if err != nil {
			return err
		}
		return unix.Mount("", tree.Root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	},
	"unmounted": func() error {
		for {
			tree, err := cgroup.FindTree()
			if errors.Is(err, cgroup.ErrNoTree) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := unix.Unmount(tree.Root, unix.MNT_DETACH); err != nil {
				return err
			}
		}
	},
}

// tryToRecord runs a copy of this process and returns what it says.
func tryToRecord(t *testing.T, spoil string, attributes *syscall.SysProcAttr) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "SESSION_TEST_CHILD="+spoil)
	cmd.SysProcAttr = attributes
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// delegated returns a cgroup that belongs to a user, as systemd gives one to a login session.
func delegated(t *testing.T, uid int) *os.File {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	here, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(here, fmt.Sprintf("session-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
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
	return f
}

const nobody = 65534

// capabilities returns attributes of a process of an ordinary user in a cgroup of its own, with some capabilities.
func capabilities(t *testing.T, caps []probe.Capability) *syscall.SysProcAttr {
	var numbers []uintptr
	for _, c := range caps {
		numbers = append(numbers, c.Number)
	}
	return &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobody, Gid: nobody},
		AmbientCaps: numbers,
		UseCgroupFD: true,
		CgroupFD:    int(delegated(t, nobody).Fd()),
	}
}

func TestEnvironments(t *testing.T) {
	testenv.RequireRoot(t)
	mounts := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	userns := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
	}
	for _, row := range []struct {
		reason     string
		spoil      string
		attributes *syscall.SysProcAttr
		want       string
	}{
		{"root", "", nil, "recorded"},
		{"an ordinary user", "", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}},
			"eBPF programs: load: not permitted: missing " + names(probe.Capabilities())},
		{"the smallest set of capabilities", "", capabilities(t, probe.Capabilities()), "recorded"},
		{"root of a user namespace", "", userns,
			"eBPF programs: load: not permitted: this process is in a user namespace, whose capabilities do not count"},
		{"a read-only tree", "read-only", mounts, "cgroup v2: the cgroup v2 hierarchy is read-only (" + root(t) + ")"},
		{"no tree, as with cgroup v1 alone", "unmounted", mounts, "cgroup v2: no cgroup v2 hierarchy is mounted"},
	} {
		if got := tryToRecord(t, row.spoil, row.attributes); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.reason, got, row.want)
		}
	}
}

func TestEachCapabilityIsNeeded(t *testing.T) {
	testenv.RequireRoot(t)
	set := probe.Capabilities()
	for i, missing := range set {
		t.Run("without "+missing.Name, func(t *testing.T) {
			others := append(slices.Clone(set[:i]), set[i+1:]...)
			got := tryToRecord(t, "", capabilities(t, others))
			if want := "eBPF programs: load: not permitted: missing " + missing.Name; got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
		})
	}
}

func names(set []probe.Capability) string {
	var all []string
	for _, c := range set {
		all = append(all, c.Name)
	}
	return strings.Join(all, ", ")
}

func root(t *testing.T) string {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	return tree.Root
}
