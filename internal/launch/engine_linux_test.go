package launch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// The variable that makes this test binary the client: netzero exec, by the engine's way.
const clientVariable = "NETZERO_TEST_ENGINE_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(clientVariable) == "" {
		os.Exit(m.Run())
	}
	os.Unsetenv(clientVariable)
	fmt.Fprintln(os.Stderr, "netzero exec:", Engine.Run(context.Background(), os.Args[1:]))
	os.Exit(1)
}

// The engine of this machine is a stand-in for one in a virtual machine: for a client in a pid namespace of its own it
// is as far away. The container has a file of the client only if it is mounted there, as with Docker Desktop's, and
// other than there the sources of the mounts are always on the engine's machine.
const (
	joined  = "joined"  // the launcher enters the namespaces of the client
	mounted = "mounted" // the launcher has the client's files alone
)

// caller is an ordinary user who runs a test binary by the engine's way.
type caller struct {
	testenv.Account
	client, command string
	dir             string // of the package, in a module
	tag             string // of the image
}

// newCaller makes a user, and what they need to run the test binary of testdata/mounted.
func newCaller(t *testing.T) *caller {
	t.Helper()
	testenv.RequireDocker(t)
	testenv.RequireCommand(t, "setpriv", "util-linux")
	c := &caller{Account: testenv.User(t, "docker")}
	for _, dir := range []string{"bin", "build", "module/package", "out", "tmp", ".cache/netzero"} {
		if err := os.MkdirAll(filepath.Join(c.Home, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"module/go.mod": "module example.test/module\n", "module/package/package_test.go": "package p\n",
	} {
		if err := os.WriteFile(filepath.Join(c.Home, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.dir = filepath.Join(c.Home, "module/package")
	c.client, c.command = filepath.Join(c.Home, "bin/client"), filepath.Join(c.Home, "build/mounted.test")
	c.build(t)
	err := filepath.WalkDir(c.Home, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, int(c.UID), int(c.GID)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// build copies this program as the client, and builds the test binary and the helper. The helper goes to where the
// client looks for it, so that the user needs no module cache.
func (c *caller) build(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.client, self, 0o755); err != nil {
		t.Fatal(err)
	}
	hash, err := ownHash()
	if err != nil {
		t.Fatal(err)
	}
	c.tag = runtime.GOARCH + "-" + hash
	t.Cleanup(func() {
		// The engine removes a container some time after it has ended.
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			out, err := exec.Command("docker", "rmi", imageName+":"+c.tag).CombinedOutput()
			if err == nil {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("remove the image: %v\n%s", err, out)
				return
			}
		}
	})
	for _, args := range [][]string{
		{"test", "-c", "-cover", "-o", c.command, "./testdata/mounted"},
		{
			"build", "-tags=" + helperTag, "-o", filepath.Join(c.Home, ".cache/netzero/helper-"+c.tag),
			"../../netzerotest/cmd/netzero",
		},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
		}
	}
}

// run returns a command that runs the test binary by the engine's way, in a mode. Its standard streams are pipes.
func (c *caller) run(t *testing.T, mode string, args ...string) *exec.Cmd {
	t.Helper()
	ids := []string{"--reuid", fmt.Sprint(c.UID), "--regid", fmt.Sprint(c.GID), "--groups", fmt.Sprint(c.Groups[0])}
	command := append(append(append([]string{"setpriv"}, ids...), c.client, c.command), args...)
	if mode == mounted {
		// Process 1 of the pid namespace is the shell, because signals do not end process 1.
		shell := []string{"unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", `"$@"; exit $?`, "sh"}
		command = append(shell, command...)
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = c.dir
	cmd.Env = []string{
		clientVariable + "=1", "HOME=" + c.Home, "TMPDIR=" + filepath.Join(c.Home, "tmp"), "PATH=" + os.Getenv("PATH"),
		"NZ_VARIABLE=a b\nc", "XDG_RUNTIME_DIR=/nonexistent",
	}
	return cmd
}

// status returns the exit status of a command, as a shell shows it.
func status(t *testing.T, err error) int {
	t.Helper()
	var exited *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exited):
		t.Fatal(err)
	}
	if s := exited.Sys().(syscall.WaitStatus); s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exited.ExitCode()
}

func TestEngine(t *testing.T) {
	c := newCaller(t)
	for _, mode := range []string{joined, mounted} {
		t.Run(mode, func(t *testing.T) {
			t.Run("records and leaves files of the user", func(t *testing.T) { c.testRecord(t, mode) })
			t.Run("is the user, in the directory, with the environment", func(t *testing.T) { c.testIdentity(t, mode) })
			t.Run("starts containers and reaches their ports", func(t *testing.T) { c.testContainer(t, mode) })
			t.Run("ends with the status", func(t *testing.T) { c.testStatus(t, mode) })
			t.Run("reads the input to its end", func(t *testing.T) { c.testInput(t, mode) })
			t.Run("keeps the order of one output", func(t *testing.T) { c.testOrder(t, mode) })
			t.Run("gets signals and ends by them", func(t *testing.T) { c.testSignals(t, mode) })
			t.Run("ends with the client", func(t *testing.T) { c.testKill(t, mode) })
		})
	}
	t.Run("mounted: says what the engine's machine does not have", c.testMissing)
}

func (c *caller) testMissing(t *testing.T) {
	cmd := c.run(t, mounted, "-test.run=^TestStatus$")
	here := filepath.Join(c.Home, "only-here")
	if err := os.Mkdir(here, 0o755); err != nil {
		t.Fatal(err)
	}
	i := slices.Index(cmd.Args, "setpriv")
	cmd.Args = slices.Insert(cmd.Args, i, "sh", "-c",
		`mount -t tmpfs none "$1" && mkdir "$1/dir" && cd "$1/dir" && shift && exec "$@"`, "sh", here)
	out, err := cmd.CombinedOutput()
	want := "netzero exec: the engine's machine does not have " + filepath.Join(here, "dir") + ": share it with the engine"
	if status(t, err) != 1 || !strings.HasPrefix(string(out), want) {
		t.Errorf("%v: got %q, want %q...", err, out, want)
	}
}

func (c *caller) testRecord(t *testing.T, mode string) {
	profile, log := filepath.Join(c.Home, "out", mode+".cover"), filepath.Join(c.Home, "tmp", mode+".testlog")
	cmd := c.run(t, mode, "-test.run=^TestRecord$", "-test.coverprofile="+profile, "-test.testlogfile="+log, "-update")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	golden := filepath.Join(c.dir, "testdata/netzero/TestRecord.yaml")
	for _, file := range []string{profile, log, golden} {
		c.owns(t, file)
	}
	text, err := os.ReadFile(golden)
	if err != nil || !bytes.Contains(text, []byte("192.0.2.7/32")) {
		t.Errorf("the flow is not in the policy (%v):\n%s\n%s", err, text, out)
	}
	if err := os.Remove(golden); err != nil {
		t.Error(err)
	}
}

// owns fails the test unless the user has the file.
func (c *caller) owns(t *testing.T, file string) {
	t.Helper()
	var s syscall.Stat_t
	if err := syscall.Stat(file, &s); err != nil || s.Uid != c.UID || s.Gid != c.GID {
		t.Errorf("%s belongs to %d:%d (%v), want %d:%d", file, s.Uid, s.Gid, err, c.UID, c.GID)
	}
}

func (c *caller) testIdentity(t *testing.T, mode string) {
	cmd := c.run(t, mode, "-test.run=^TestIdentity$")
	cmd.Env = append(cmd.Env, "DOCKER_HOST=unix:///run/docker.sock")
	cmd.Args = slices.Insert(cmd.Args, slices.Index(cmd.Args, c.client), "sh", "-c", `umask 027; exec "$@"`, "sh")
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("uid %d gid %d umask 027\ndir %s\nvariable %q\nPASS\n", c.UID, c.GID, c.dir, "a b\nc")
	if got, _, _ := strings.Cut(string(out), "coverage:"); err != nil || got != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, string(out)))
	}
	for _, file := range []string{filepath.Join(c.dir, "by-test"), filepath.Join(c.Home, "tmp/by-test")} {
		c.owns(t, file)
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

func (c *caller) testContainer(t *testing.T, mode string) {
	cmd := c.run(t, mode, "-test.run=^TestContainer$", "-test.v")
	cmd.Env = append(cmd.Env, "NZ_IMAGE="+testenv.Image(t, "peer"))
	for _, variable := range os.Environ() { // how containers are reached on this machine
		if strings.HasPrefix(variable, "TESTCONTAINERS_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func (c *caller) testStatus(t *testing.T, mode string) {
	out, err := c.run(t, mode, "-test.run=^TestStatus$").CombinedOutput()
	if got := status(t, err); got != 7 {
		t.Errorf("status %d\n%s", got, out)
	}
}

func (c *caller) testInput(t *testing.T, mode string) {
	for _, size := range []int{0, 1, 300_000} {
		input := bytes.Repeat([]byte("x\n"), size)
		cmd := c.run(t, mode, "-test.run=^TestInput$")
		cmd.Stdin = bytes.NewReader(input)
		out, err := cmd.CombinedOutput()
		want := fmt.Sprintf("read %d bytes %x\n", len(input), sha256.Sum256(input))
		want = want[:strings.LastIndex(want, " ")+1+8] // four bytes of the sum
		if err != nil || !strings.HasPrefix(string(out), want+"\n") {
			t.Errorf("%v: got %q, want %q", err, out, want)
		}
	}
}

func (c *caller) testOrder(t *testing.T, mode string) {
	out, err := c.run(t, mode, "-test.run=^TestOrder$").CombinedOutput() // one pipe for both
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want strings.Builder
	for i := range 600 {
		fmt.Fprintln(&want, i)
	}
	if !strings.HasPrefix(string(out), want.String()) {
		t.Errorf("got %s", out)
	}
	var stdout, stderr bytes.Buffer
	cmd := c.run(t, mode, "-test.run=^TestOrder$")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if !strings.HasPrefix(stdout.String(), "0\n2\n4\n") || !strings.HasPrefix(stderr.String(), "1\n3\n5\n") {
		t.Errorf("standard output:\n%s\nstandard error:\n%s", stdout.String(), stderr.String())
	}
}

// started is a test binary that waits for signals, and has a child that does.
type started struct {
	cmd    *exec.Cmd
	client int // process IDs on this machine
	pids   []int
	out    *bufio.Reader
}

func (c *caller) start(t *testing.T, mode string) *started {
	t.Helper()
	cmd := c.run(t, mode, "-test.run=^TestSignals$")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &started{cmd: cmd, out: bufio.NewReader(stdout), pids: make([]int, 2)}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := s.out.ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "ready %d %d", &s.pids[0], &s.pids[1]); scanErr != nil {
		t.Fatalf("the test binary did not start (%v): %q", err, line)
	}
	s.client = processOf(t, c.client)
	return s
}

// processOf returns the process that executes a program.
func processOf(t *testing.T, program string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if path, err := os.Readlink(link); err == nil && path == program {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no process executes %s", program)
	return 0
}

func (c *caller) testSignals(t *testing.T, mode string) {
	for _, last := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		s := c.start(t, mode)
		for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2} {
			if err := syscall.Kill(s.client, sig); err != nil {
				t.Fatal(err)
			}
			if line, err := s.out.ReadString('\n'); line != fmt.Sprintf("caught %v\n", sig) {
				t.Errorf("after %v: %q (%v)", sig, line, err)
			}
		}
		if err := syscall.Kill(s.client, last); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(s.out)
		if got := status(t, errors.Join(err, s.cmd.Wait())); got != 128+int(last) || len(rest) > 0 {
			t.Errorf("after %v: status %d, output %q", last, got, rest)
		}
		c.leavesNothing(t, mode, s)
	}
}

func (c *caller) testKill(t *testing.T, mode string) {
	s := c.start(t, mode)
	want := map[string]string{joined: "/helper join ", mounted: "/helper mounted"}[mode]
	out, err := exec.CommandContext(t.Context(), "docker", "ps", "--no-trunc", "--format", "{{.Command}}", "--filter",
		"ancestor="+imageName+":"+c.tag).CombinedOutput()
	if err != nil || strings.Count(string(out), "/helper") != 1 || !strings.Contains(string(out), want) {
		t.Errorf("the containers are %s (%v), want one: %s", out, err, want)
	}
	if err := syscall.Kill(s.client, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	c.leavesNothing(t, mode, s)
}

// leavesNothing waits until the test binary, its container and its cgroup are gone. A child that it left behind is on
// its own in the mode that joins, as without the engine.
func (c *caller) leavesNothing(t *testing.T, mode string, s *started) {
	t.Helper()
	if mode == joined {
		_ = syscall.Kill(s.pids[1], syscall.SIGKILL)
	}
	left := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if left = c.left(t, s); left == "" {
			return
		}
	}
	t.Errorf("what is left: %s", left)
}

func (c *caller) left(t *testing.T, s *started) string {
	t.Helper()
	for _, pid := range s.pids {
		if path, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); path == c.command {
			return fmt.Sprintf("process %d", pid)
		}
	}
	out, err := exec.CommandContext(t.Context(), "docker", "ps", "-aq", "--filter", "label=dev.netzero.exec",
		"--filter", "ancestor="+imageName+":"+c.tag).CombinedOutput()
	if err != nil || len(out) > 0 {
		return fmt.Sprintf("container %s (%v)", out, err)
	}
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	left := ""
	_ = filepath.WalkDir(tree.Root, func(path string, entry fs.DirEntry, err error) error {
		var st syscall.Stat_t
		if err == nil && entry.IsDir() && syscall.Stat(path, &st) == nil && st.Uid == c.UID {
			left = "cgroup " + path
		}
		return nil // another one may be removed meanwhile
	})
	return left
}
