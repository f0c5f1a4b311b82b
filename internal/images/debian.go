package images

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/debian"
)

// fetch downloads packages and their dependencies below dir, and returns their files, in order. mirror is Debian's main
// archive, or empty for the machine's own.
func fetch(ctx context.Context, dir, mirror string, packages, without []string) ([]string, error) {
	apt, err := debian.Open(ctx, debian.Config{
		Dir: dir, Mirror: mirror, Arch: runtime.GOARCH,
		Suites: []debian.Suite{{Name: suite}, {Name: suite + "-security", Security: true}},
	})
	if err != nil {
		return nil, err
	}
	if err := apt.Update(ctx); err != nil {
		return nil, err
	}
	plan, err := apt.Get(ctx, append([]string{"install", "--simulate"}, packages...)...)
	if err != nil {
		return nil, fmt.Errorf("find what packages depend on: %w", err)
	}
	wanted := slices.DeleteFunc(parsePlan(plan), func(p string) bool {
		name, _, _ := strings.Cut(p, "=")
		return slices.ContainsFunc(without, func(pattern string) bool { return matches(pattern, name) })
	})
	if len(wanted) < len(packages) {
		return nil, fmt.Errorf("find what packages depend on: apt would install %q for %q", wanted, packages)
	}
	return apt.Download(ctx, filepath.Join(dir, "archives"), wanted...)
}

// parsePlan reads the packages that apt-get --simulate would install, as name=version: Inst dash (0.5.12-2
// Debian:12.15/oldstable [amd64]).
func parsePlan(text string) []string {
	var packages []string
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Inst" {
			packages = append(packages, f[1]+"="+strings.Trim(f[2], "()"))
		}
	}
	slices.Sort(packages)
	return packages
}

// matches is path.Match for valid patterns.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
