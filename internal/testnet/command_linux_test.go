package testnet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup2 is the machine's cgroup v2 tree.
func cgroup2(tb testing.TB) string {
	tb.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if strings.HasPrefix(after, "cgroup2 ") {
			return strings.Fields(before)[4]
		}
	}
	tb.Fatal("no cgroup v2 tree is mounted on this machine")
	return ""
}

func TestCommand_MachineCgroupTree(t *testing.T) {
	t.Parallel()
	lab := New(t)
	root := cgroup2(t)
	dir := filepath.Join(root, fmt.Sprintf("testnet-%d", os.Getpid()))
	t.Cleanup(func() { os.Remove(dir) })
	script := `set -e
		grep -q ' - cgroup2 ' /proc/self/mountinfo
		mkdir "$1"
		echo $$ >"$1/cgroup.procs"
		grep '^0::' /proc/self/cgroup
		echo $$ >"$2/cgroup.procs"`
	got := output(t, lab.Command(t.Context(), "sh", "-c", script, "sh", dir, root))
	if want := "0::/" + filepath.Base(dir); got != want {
		t.Errorf("got cgroup %q, want %q", got, want)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the machine does not see the cgroup made inside: %v", err)
	}
}

func TestCommand_PrivateNetworkAndResolver(t *testing.T) {
	t.Parallel()
	lab := New(t)
	lab.ServeDNS("203.0.113.53:53", new(Zone))
	lab.ServeDNS("[2001:db8::53]:53", new(Zone))
	lab.ServeDNS("203.0.113.54:5353", new(Zone))
	lab.Search("lab.test", "pay.test")
	lab.Ndots(2)
	lab.ResolverTimeout(time.Minute)

	for _, kind := range []string{"pid", "user", "uts", "ipc", "cgroup"} {
		own, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		if got := output(t, lab.Command(t.Context(), "readlink", "/proc/self/ns/"+kind)); got != own {
			t.Errorf("%s namespace is %s, want the machine's %s", kind, got, own)
		}
	}
	want := "# written by testnet\nnameserver 203.0.113.53\nnameserver 2001:db8::53\nsearch lab.test " +
		"pay.test\noptions ndots:2\noptions timeout:60"
	if got := output(t, lab.Command(t.Context(), "cat", "/etc/resolv.conf")); got != want {
		t.Errorf("got resolv.conf %q, want %q", got, want)
	}
	if own, err := os.ReadFile("/etc/resolv.conf"); err != nil || strings.Contains(string(own), "testnet") {
		t.Errorf("the machine's resolv.conf is %q (%v)", own, err)
	}
	dir := t.TempDir()
	got := output(t, lab.Command(t.Context(), "sh", "-c", `echo "$(ls -A /tmp | wc -l)" >"$1/file"`, "sh", dir))
	if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || strings.TrimSpace(string(text)) == "0" {
		t.Errorf("/tmp inside is not the machine's: %q, %q (%v)", got, text, err)
	}
}

func TestCommand_ExecCmd(t *testing.T) {
	t.Parallel()
	lab := New(t)
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := lab.Command(t.Context(), "sh", "-c", `echo "$0 $COLOUR $(pwd) $$ $(cat <&3)"; exit 7`)
	cmd.Env, cmd.Dir, cmd.ExtraFiles = []string{"COLOUR=blue", "PATH=" + os.Getenv("PATH")}, dir, []*os.File{r}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.WriteString("third")
	w.Close()
	err = cmd.Wait()
	if want := fmt.Sprintf("sh blue %s %d third\n", dir, cmd.Process.Pid); out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Errorf("got exit code %d (%v), want 7", code, err)
	}

	if err := lab.Command(t.Context(), "no-such-program").Run(); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("unknown program: got %v, want %v", err, exec.ErrNotFound)
	}
	missing := lab.Command(t.Context(), "./no-such-program")
	if missing.Run(); missing.ProcessState.ExitCode() != statusNotFound {
		t.Errorf("missing file: got %v, want exit code %d", missing.ProcessState, statusNotFound)
	}
	directory := lab.Command(t.Context(), dir)
	if directory.Run(); directory.ProcessState.ExitCode() != statusNotExecutable {
		t.Errorf("a directory: got %v, want exit code %d", directory.ProcessState, statusNotExecutable)
	}
}

func TestCommand_PrivateMounts(t *testing.T) {
	t.Parallel()
	lab := New(t)
	// If / is a shared mount, as on most machines, a mount inside would appear outside without protection.
	cmd := lab.Command(t.Context(), "sh", "-c", "mount -t tmpfs leak /mnt && cat /proc/self/mountinfo")
	var inside string
	var mounts []byte
	err := onThreadWithSharedMounts(func() error {
		out, err := cmd.CombinedOutput()
		inside = string(out)
		if err != nil {
			return fmt.Errorf("run command: %w\n%s", err, out)
		}
		mounts, err = os.ReadFile("/proc/thread-self/mountinfo")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mounts), "shared:") {
		t.Fatal("the thread has no shared mounts: the test tests nothing")
	}
	for _, trace := range []string{" - tmpfs leak ", " - tmpfs testnet "} {
		if !strings.Contains(inside, trace) {
			t.Errorf("the mount %q is not seen inside:\n%s", trace, inside)
		}
		if strings.Contains(string(mounts), trace) {
			t.Errorf("the mount %q made inside is seen outside:\n%s", trace, mounts)
		}
	}
}

// onThreadWithSharedMounts calls fn on a thread in its own mount namespace with only shared mounts. The thread ends
// afterwards, because it cannot return to its process's mount namespace.
func onThreadWithSharedMounts(fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			// The main thread cannot end; while it is locked here, the next goroutine is on another one.
			result <- onThreadWithSharedMounts(fn)
			runtime.UnlockOSThread()
			return
		}
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
				return err
			}
			return fn()
		}()
	}()
	return <-result
}
