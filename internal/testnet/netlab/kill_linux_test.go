package netlab

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// patience is the time limit for the kernel and the watcher; they need milliseconds.
const patience = 20 * time.Second

// cgroup makes a cgroup in which a test starts its processes, so that all remnants can be found, whatever their
// parents.
func cgroup(t *testing.T) (dir string, fd int) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if strings.HasPrefix(after, "cgroup2 ") {
			dir = filepath.Join(strings.Fields(before)[4],
				fmt.Sprintf("netlab-%d-%s", os.Getpid(), filepath.Base(t.Name())))
		}
	}
	if dir == "" {
		t.Fatal("no cgroup v2 tree is mounted on this machine")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		file.Close()
		// A killed process leaves its cgroup a moment after it becomes invisible.
		for start := time.Now(); os.Remove(dir) != nil; time.Sleep(time.Millisecond) {
			if time.Since(start) > patience {
				t.Fatalf("cgroup %s cannot be removed", dir)
			}
		}
	})
	return dir, int(file.Fd())
}

// processes are those of a cgroup, with their command lines. Zombies are not among them.
func processes(dir string) []string {
	list, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, pid := range strings.Fields(string(list)) {
		args, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err == nil && len(args) > 0 {
			found = append(found, pid+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}

// expectNothing waits until a cgroup is empty and checks the machine for other remnants.
func expectNothing(t *testing.T, dir string) {
	t.Helper()
	for start := time.Now(); len(processes(dir)) > 0; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("left after %s: %q", patience, processes(dir))
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range interfaces {
		if mac := each.HardwareAddr.String(); mac == "02:00:00:00:00:01" || mac == "02:00:00:00:00:02" {
			t.Errorf("interface %s is left", each.Name)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), "testnet") {
		t.Errorf("mounts are left:\n%s", mounts)
	}
}

// netlabCommand runs this test binary as netlab.
func netlabCommand(cgroup int, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{"netlab"}, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, UseCgroupFD: true, CgroupFD: cgroup}
	return cmd
}

func labConf(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lab.conf")
	text := "tcp 203.0.113.7:5432\ntls 203.0.113.7:443 api.pay.test\ndns 203.0.113.53:53\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// busy starts processes that a killed `go test` would leave behind, and prints a line when they run.
const busy = `
	setsid sleep 1000 </dev/null >/dev/null 2>&1 &
	( trap "" TERM INT HUP; while :; do sleep 1000; done ) </dev/null >/dev/null 2>&1 &
	( while :; do sleep 0.001; done ) </dev/null >/dev/null 2>&1 &
	echo runs
`

func TestNetlab_NothingLeftAfterKill(t *testing.T) {
	testenv.RequireRoot(t)
	conf := labConf(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "netlab")); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		command []string
		group   bool
	}{
		"netlab alone":    {[]string{"sh", "-c", busy + "exec sleep 1000"}, false},
		"its whole group": {[]string{"sh", "-c", busy + "exec sleep 1000"}, true},
		"a lab in a lab": {[]string{filepath.Join(bin, "netlab"), "-f", conf, "sh", "-c", busy + "exec sleep 1000"},
			false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, fd := cgroup(t)
			cmd := netlabCommand(fd, append([]string{"-f", conf, "--"}, tt.command...)...)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(out).ReadString('\n'); line != "runs\n" {
				t.Errorf("got %q (%v)", line, err)
			}
			// Netlab, its watcher, and at least four processes inside.
			for start := time.Now(); len(processes(dir)) < 6; time.Sleep(time.Millisecond) {
				if time.Since(start) > patience {
					t.Fatalf("too few processes run: %q", processes(dir))
				}
			}
			pid := cmd.Process.Pid
			if tt.group {
				pid = -pid
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			cmd.Wait()
			expectNothing(t, dir)
		})
	}
}

func TestNetlab_NothingLeftAfterKillAtAnyMoment(t *testing.T) {
	testenv.RequireRoot(t)
	conf := labConf(t)
	dir, fd := cgroup(t)
	for range 40 {
		cmd := netlabCommand(fd, "-f", conf, "sh", "-c", busy+"exec sleep 1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := rand.N(40 * time.Millisecond)
		time.Sleep(after)
		if err := cmd.Process.Kill(); err != nil {
			t.Errorf("killed after %s: %v", after, err)
		}
		cmd.Wait()
	}
	expectNothing(t, dir)
}

func TestNetlab_NothingLeftAfterCommand(t *testing.T) {
	testenv.RequireRoot(t)
	conf := labConf(t)
	dir, fd := cgroup(t)
	cmd := netlabCommand(fd, "-f", conf, "sh", "-c", busy+"exit 3")
	out, err := cmd.CombinedOutput()
	if string(out) != "runs\n" || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("got %q, %v", out, err)
	}
	if left := processes(dir); len(left) > 0 {
		t.Errorf("netlab came back before its processes ended: %q", left)
	}
	expectNothing(t, dir)
}
