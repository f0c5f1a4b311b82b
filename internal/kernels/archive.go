package kernels

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/netzero-dev/netzero/internal/debian"
)

// suites are the sources of Debian's kernels. They are read only for kernels that are not in the cache.
var suites = []debian.Suite{
	{Name: "bullseye-security", Security: true},
	{Name: "bookworm-security", Security: true},
	{Name: "trixie-security", Security: true},
	{Name: "trixie-backports"},
	{Name: "sid"},
	{Name: "experimental"},
}

// archive is Debian's list of kernels.
type archive struct {
	apt     *debian.Apt
	kernels []Kernel
	// unreached is the error of indexes that are not available: a suite may be gone, and the kernel be in another one.
	unreached error
}

// openArchive reads Debian's list of kernels. Errors: [debian.ErrNoMirror].
func openArchive(ctx context.Context, dir, mirror string, arch Arch) (*archive, error) {
	apt, err := debian.Open(ctx, debian.Config{Dir: dir, Mirror: mirror, Arch: string(arch), Suites: suites})
	if err != nil {
		return nil, fmt.Errorf("fetch kernels: %w", err)
	}
	a := &archive{apt: apt, unreached: apt.Update(ctx)}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names, err := apt.Cache(ctx, "pkgnames", "linux-")
	if err != nil {
		return nil, fmt.Errorf("list kernels: %w", err)
	}
	args := []string{"madison"}
	for name := range strings.FieldsSeq(names) {
		if _, _, _, ok := splitName(name); ok {
			args = append(args, name)
		}
	}
	var packages []Kernel
	if len(args) > 1 {
		text, err := apt.Cache(ctx, args...)
		if err != nil {
			return nil, fmt.Errorf("list kernels: %w", err)
		}
		packages = parseMadison(text)
	}
	a.kernels = kernelsOf(packages, arch)
	if len(a.kernels) == 0 && a.unreached != nil {
		return nil, a.unreached
	}
	return a, nil
}

// parseMadison parses the output of apt-cache madison: package | version | source.
func parseMadison(text string) []Kernel {
	var packages []Kernel
	for line := range strings.Lines(text) {
		if fields := strings.Split(line, "|"); len(fields) == 3 {
			packages = append(packages, Kernel{Package: strings.TrimSpace(fields[0]),
				Version: strings.TrimSpace(fields[1])})
		}
	}
	return packages
}

// output runs a command and returns its output. Its error contains the command's stderr.
func output(cmd *exec.Cmd) (string, error) {
	var complaint strings.Builder
	cmd.Stderr = &complaint
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), err
}
