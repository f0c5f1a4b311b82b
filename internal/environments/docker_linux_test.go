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

// patience limits the time for one Docker command: an engine that hangs must not hang the tests.
const patience = 2 * time.Minute

// stalled tells that Docker took longer once, and need not be asked again.
var stalled atomic.Bool

// docker returns a command of Docker's client, which does not wait for ever.
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

func TestContainers(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "docker", "docker.io")
	image := newImage(t)
	root := tree(t).Root
	plain := "docker-hybrid" // Docker mounts what the machine has at /sys/fs/cgroup, which may be cgroup v1
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
		{"what docker run gives", plain, nil},
		{"what it gives where the machine has cgroup v2 only", "docker-unified", mount(":ro")},
		{"a writable tree is not enough", "docker-writable", mount("")},
		{"an ordinary user in it", "docker-writable", append(mount(""), "--user", "65534")},
		{"privileged, with the machine's cgroup namespace", "root",
			append(append(mount(""), privileged...), "--cgroupns=host")},
		{"privileged, with its own cgroup namespace", "root", append(append(mount(""), privileged...), "--cgroupns=private")},
		{"with Docker's filter, and what stands for the smallest set", "root",
			append(mount(""), "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN")},
		{"without what stands for CAP_BPF and CAP_PERFMON", "docker-net-admin", append(mount(""), "--cap-add=NET_ADMIN")},
	} {
		t.Run(row.reason, func(t *testing.T) {
			text := transcript(t,
				func(act string, variables ...string) *exec.Cmd { return image.run(t, row.flags, act, variables) })
			compare(t, row.golden, strings.ReplaceAll(text, "/sys/fs/cgroup", "TREE"))
		})
	}
}

// image is one of Docker's that holds this program and its golden file, and nothing else.
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

// privilegedFlags are --privileged; or what comes nearest on a machine whose root lacks a capability, as one that is a
// container or a small virtual machine itself: there Docker cannot start a privileged container.
func privilegedFlags(t *testing.T, i image) []string {
	t.Helper()
	flags := []string{"--privileged"}
	out, err := i.run(t, flags, "doctor", []string{spoilVariable + "="}).CombinedOutput()
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
