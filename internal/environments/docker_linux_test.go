package environments

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// patience limits the time for one Docker command, because an engine that hangs must not block the tests.
const patience = 2 * time.Minute

// stalled reports that a Docker command took longer. Later commands fail at once.
var stalled atomic.Bool

// docker returns a command of Docker's client with a time limit.
func docker(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if stalled.Load() {
		t.Fatalf("the Docker engine has not answered for %v", patience)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Cancel = func() error {
		stalled.Store(true)
		return cmd.Process.Kill()
	}
	return cmd
}

func TestEnvironments_Docker(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "docker", "docker.io")
	image := newImage(t)
	root := tree(t).Root
	plain := "docker-hybrid" // Docker mounts the machine's /sys/fs/cgroup, which may be cgroup v1
	if root == "/sys/fs/cgroup" {
		plain = "docker-unified"
	}
	mount := func(mode string) []string { return []string{"-v", root + ":/sys/fs/cgroup" + mode} }
	privileged := privilegedFlags(t, image)
	for _, row := range []struct {
		reason string
		golden string
		flags  []string
	}{
		{"docker run", plain, nil},
		{"docker run on a machine with cgroup v2 only", "docker-unified", mount(":ro")},
		{"a writable tree is not enough", "docker-writable", mount("")},
		{"an ordinary user in a writable tree", "docker-writable", append(mount(""), "--user", "65534")},
		{"privileged, with the machine's cgroup namespace", "root",
			append(append(mount(""), privileged...), "--cgroupns=host")},
		{"privileged, with its own cgroup namespace", "root", append(append(mount(""), privileged...), "--cgroupns=private")},
		{"with Docker's filter, and CAP_SYS_ADMIN in place of the smallest set", "root",
			append(mount(""), "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN")},
		{"without CAP_BPF and CAP_PERFMON", "docker-net-admin", append(mount(""), "--cap-add=NET_ADMIN")},
	} {
		t.Run(row.reason, func(t *testing.T) {
			text := transcript(t,
				func(act string, variables ...string) *exec.Cmd { return image.run(t, row.flags, act, variables) })
			compare(t, row.golden, strings.ReplaceAll(text, "/sys/fs/cgroup", "TREE"))
		})
	}
}

// image is a Docker image that contains only this program and its golden file.
type image string

// newImage makes an image that is removed with the test.
func newImage(t *testing.T) image {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "environments.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	output(t, build)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, from := range map[string]string{
		"environments.test":                  binary,
		"testdata/netzero/TestRecorded.yaml": "testdata/netzero/TestRecorded.yaml",
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("netzero-test/environments:%d", os.Getpid())
	load := docker(t, "import", "-", name)
	load.Stdin = &archive
	output(t, load)
	t.Cleanup(func() { output(t, docker(t, "image", "rm", "--force", name)) })
	return image(name)
}

// run returns a command that runs this program in a container.
func (i image) run(t *testing.T, flags []string, act string, variables []string) *exec.Cmd {
	args := append([]string{"run", "--rm", "--network=none", "--workdir=/", "--env=" + actVariable + "=" + act}, flags...)
	for _, variable := range variables {
		args = append(args, "--env="+variable)
	}
	return docker(t, append(args, string(i), "/environments.test")...)
}

// privilegedFlags returns --privileged. If this machine's root lacks a capability, as in a container or a small virtual
// machine, Docker cannot start a privileged container; then it returns the flags that grant nearly the same.
func privilegedFlags(t *testing.T, i image) []string {
	t.Helper()
	flags := []string{"--privileged"}
	out, err := i.run(t, flags, "doctor", []string{faultsVariable + "="}).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "unable to apply caps") {
		return flags
	}
	t.Log("docker run --privileged does not start here: root of this machine lacks CAP_SYS_RESOURCE")
	return []string{"--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined",
		"--security-opt=apparmor=unconfined"}
}

func output(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
}
