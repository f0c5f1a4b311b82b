package kernels

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// Module returns the root directory of the working directory's module.
func Module(ctx context.Context) (string, error) {
	out, err := output(exec.CommandContext(ctx, "go", "env", "GOMOD"))
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	file := strings.TrimSpace(out)
	if filepath.Base(file) != "go.mod" {
		return "", errors.New("find module: the working directory is in none")
	}
	return filepath.Dir(file), nil
}

// build compiles a static program for the guest and returns it.
func build(ctx context.Context, module string, arch Arch, args ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "netzero-kernels-")
	if err != nil {
		return nil, fmt.Errorf("build for the guest: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "program")
	// Without DWARF: the guest has to unpack everything under emulation.
	cmd := exec.CommandContext(ctx, "go", append([]string{args[0]},
		append([]string{"-ldflags=-w", "-o", file}, args[1:]...)...)...)
	cmd.Dir = module
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+string(arch), "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build for the guest: %w: %s", err, bytes.TrimSpace(text))
	}
	program, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("build for the guest: go %s produced no binary: the package has no tests",
			strings.Join(args, " "))
	}
	if err != nil {
		return nil, fmt.Errorf("build for the guest: %w", err)
	}
	return program, nil
}

// Initramfs builds the common root of all guests of an architecture: process 1, the suites' test binaries and testdata,
// and the plan. The plan runs the tests that match run, if that is not empty, with a time limit for each suite.
func Initramfs(ctx context.Context, module string, arch Arch, suites []Suite, run string,
	limit time.Duration) ([]byte, error) {
	var archive bytes.Buffer
	// Nearly the best compression, and several times faster.
	compressed, err := gzip.NewWriterLevel(&archive, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	w := newCPIOWriter(compressed)
	w.device("dev/console", 5, 1) // the kernel opens it for process 1
	w.device("dev/null", 1, 3)    // process 1 needs it to start itself again
	w.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/none\nnobody:x:65534:65534:nobody:/:/none\n"))
	w.file("etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n"))
	w.file("etc/hosts", 0o644, []byte("127.0.0.1 localhost\n::1 localhost\n"))
	w.file("etc/resolv.conf", 0o644, nil)
	w.directory("root")
	init, err := build(ctx, module, arch, "build", "./internal/kernels/cmd/guestinit")
	if err != nil {
		return nil, err
	}
	w.file("init", 0o755, init)
	plan := guest.Plan{Env: []string{"NETZERO_TEST_REQUIRE=1", "PATH=/bin", "HOME=/root", "TMPDIR=/tmp", "USER=root"}}
	for _, s := range suites {
		t, err := s.add(ctx, w, module, arch, run, limit)
		if err != nil {
			return nil, fmt.Errorf("add %s to the guest: %w", s.Package, err)
		}
		plan.Tests = append(plan.Tests, t)
	}
	text, err := json.MarshalIndent(plan, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("write plan: %w", err)
	}
	w.file(strings.TrimPrefix(guest.PlanPath, "/"), 0o644, text)
	if err := errors.Join(w.close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("make initramfs: %w", err)
	}
	return archive.Bytes(), nil
}

// add adds a suite's test binary and testdata to the archive, and returns how to run it.
func (s Suite) add(ctx context.Context, w *cpioWriter, module string, arch Arch, run string,
	limit time.Duration) (guest.Test, error) {
	program, err := build(ctx, module, arch, "test", "-c", s.Package)
	if err != nil {
		return guest.Test{}, err
	}
	dir := path.Join("src", s.Package)
	binary := path.Join(dir, path.Base(s.Package)+".test")
	w.file(binary, 0o755, program)
	root := filepath.Join(module, filepath.FromSlash(s.Package))
	err = filepath.WalkDir(filepath.Join(root, "testdata"), func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		below, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		w.file(path.Join(dir, filepath.ToSlash(below)), 0o644, content)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return guest.Test{}, err
	}
	// The marks of test2json distinguish the test framework's output from that of a test. The framework's own time-out
	// comes first, because it reports where the tests hang.
	args := []string{"-test.v=test2json", "-test.short", "-test.count=1", "-test.paniconexit0",
		fmt.Sprintf("-test.timeout=%v", limit)}
	if pattern := s.skipPattern(); pattern != "" {
		args = append(args, "-test.skip="+pattern)
	}
	if run != "" {
		args = append(args, "-test.run="+run)
	}
	return guest.Test{Package: s.Package, Binary: "/" + binary, Dir: "/" + dir, Args: args,
		Timeout: limit + 10*time.Second}, nil
}
