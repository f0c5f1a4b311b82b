// Package debian fetches packages of Debian's archives, for any release and architecture. It runs apt with a separate
// configuration, indexes and caches: the machine's apt does not change, and nothing is installed.
//
// It rejects packages without Debian's signature. It needs apt-get, apt-cache and Debian's keys
// (debian-archive-keyring), which Ubuntu has too.
package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Config describes the apt to open.
type Config struct {
	Dir    string // for configuration, indexes and caches; for one Apt at a time
	Mirror string // of the main archive, such as "http://deb.debian.org/debian"; empty for the machine's own
	Arch   string // Debian's name of an architecture
	Suites []Suite
}

// Suite is a part of an archive: a release, or an addition to one.
type Suite struct {
	Name     string // "bookworm", "bookworm-security"
	Security bool   // in the archive of security updates instead of the main one
}

// Apt is a separate apt. Its database is empty, so it would install all dependencies of a package.
type Apt struct{ dir string }

// Open configures an apt in a directory. It has no indexes before [Apt.Update], unless an earlier Apt left them there.
// Errors: [ErrNoMirror].
func Open(ctx context.Context, c Config) (*Apt, error) {
	for _, tool := range []string{"apt-get", "apt-cache"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("open apt: %w: packages of Debian's are fetched by it", err)
		}
	}
	m, err := findMirrors(ctx, c.Mirror)
	if err != nil {
		return nil, fmt.Errorf("find Debian mirror: %w", err)
	}
	keyring, err := findKeyring()
	if err != nil {
		return nil, fmt.Errorf("find Debian's keys: %w", err)
	}
	dir, err := filepath.Abs(c.Dir) // apt runs in other directories
	if err != nil {
		return nil, fmt.Errorf("configure apt: %w", err)
	}
	a := &Apt{dir}
	for _, d := range []string{"lists/partial", "archives/partial", "empty"} {
		if err := os.MkdirAll(a.path(d), 0o755); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	for name, text := range map[string]string{
		"apt.conf": a.config(c.Arch), "sources.list": m.sources(keyring, c.Arch, c.Suites), "status": "",
		"preferences": "",
	} {
		if err := os.WriteFile(a.path(name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	return a, nil
}

func (a *Apt) path(name string) string { return filepath.Join(a.dir, filepath.FromSlash(name)) }

// config returns a configuration that apt reads after the machine's own. The machine's network settings, such as a
// proxy, remain. Its hooks do not: they clean up other caches.
func (a *Apt) config(arch string) string {
	var b strings.Builder
	for _, list := range []string{
		"APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success",
		"DPkg::Pre-Install-Pkgs",
		"APT::Architectures", "Acquire::IndexTargets::deb",
	} {
		fmt.Fprintf(&b, "#clear %s;\n", list)
	}
	b.WriteString(`Acquire::IndexTargets::deb::Packages { MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; ` +
		`flatMetaKey "Packages"; Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages"; Optional "no"; };` +
		"\n")
	fmt.Fprintf(&b, "APT::Architectures { %q; };\n", arch)
	for _, set := range [][2]string{
		{"APT::Architecture", arch}, {"APT::Install-Recommends", "false"}, {"APT::Sandbox::User", ""},
		{"Acquire::Languages", "none"}, {"Acquire::PDiffs", "false"}, {"Acquire::Retries", "2"},
		{"Acquire::http::Timeout", "30"},
		{"Dir::Etc::sourcelist", a.path("sources.list")}, {"Dir::Etc::sourceparts", a.path("empty")},
		{"Dir::Etc::preferences", a.path("preferences")}, {"Dir::Etc::preferencesparts", a.path("empty")},
		{"Dir::State", a.dir}, {"Dir::State::lists", a.path("lists")}, {"Dir::State::status", a.path("status")},
		{"Dir::Cache", a.dir}, {"Dir::Cache::archives", a.path("archives")},
	} {
		fmt.Fprintf(&b, "%s %q;\n", set[0], set[1])
	}
	return b.String()
}

// findKeyring finds Debian's signing keys.
func findKeyring() (string, error) {
	for _, name := range []string{"debian-archive-keyring.gpg", "debian-archive-keyring.pgp"} {
		path := filepath.Join("/usr/share/keyrings", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("/usr/share/keyrings has none: run apt-get install debian-archive-keyring")
}

// Update fetches the indexes. If it returns an error, the available ones are there all the same.
func (a *Apt) Update(ctx context.Context) error {
	if _, err := a.Get(ctx, "update", "--error-on=any"); err != nil {
		return fmt.Errorf("fetch Debian's indexes: %w", err)
	}
	return nil
}

// Get runs apt-get and returns its output.
func (a *Apt) Get(ctx context.Context, args ...string) (string, error) {
	return a.run(ctx, a.path("archives"), "apt-get", args)
}

// Cache runs apt-cache and returns its output.
func (a *Apt) Cache(ctx context.Context, args ...string) (string, error) {
	return a.run(ctx, a.dir, "apt-cache", args)
}

// Download downloads packages, as "name" or "name=version", into a directory without others, and returns their files,
// sorted. apt checks each against the index, and the index against Debian's signature.
func (a *Apt) Download(ctx context.Context, dir string, packages ...string) ([]string, error) {
	_, err := a.run(ctx, dir, "apt-get", append([]string{"download"}, packages...))
	var files []string
	if err == nil {
		files, err = filepath.Glob(filepath.Join(dir, "*.deb"))
	}
	if err == nil && len(files) != len(packages) {
		err = fmt.Errorf("apt-get left %d packages, want %d", len(files), len(packages))
	}
	if err != nil {
		return nil, fmt.Errorf("download %s: %w", strings.Join(packages, " "), err)
	}
	return files, nil
}

func (a *Apt) run(ctx context.Context, dir, name string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, name, append([]string{"-q", "-c", a.path("apt.conf")}, args...)...)
	cmd.Dir = dir
	return output(cmd)
}

// output runs a command and returns its output. Its error contains the command's stderr.
func output(cmd *exec.Cmd) (string, error) {
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second // a method of apt's may keep the output open after apt was killed
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
