package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt is an apt with a configuration, indexes and caches of its own.
type apt struct {
	config string // the file
	arch   Arch
	// unreached is what was wrong with the indexes, where not all could be had: a suite may have gone, the kernel be in another.
	unreached error
}

// openApt makes a private apt below dir and fetches its indexes. mirror is Debian's main archive, or empty for the one of the
// machine's own sources. Errors: [ErrNoMirror].
func openApt(ctx context.Context, dir, mirror string, arch Arch) (*apt, error) {
	for _, tool := range []string{"apt-get", "apt-cache", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("fetch kernels: %w: they are packages of Debian's, and apt is needed once to get them", err)
		}
	}
	m := mirrors{main: strings.TrimSuffix(mirror, "/"), security: strings.TrimSuffix(mirror, "/") + "-security"}
	if mirror == "" {
		text, err := output(exec.CommandContext(ctx, "apt-get", "indextargets", "--no-release-info", "--format", indexFormat, "Created-By: Packages"))
		if err != nil {
			return nil, fmt.Errorf("find Debian mirror: %w", err)
		}
		if m, err = parseTargets(text); err != nil {
			return nil, fmt.Errorf("find Debian mirror: %w", err)
		}
	}
	keyring, err := findKeyring()
	if err != nil {
		return nil, err
	}
	a := &apt{config: filepath.Join(dir, "apt.conf"), arch: arch}
	for _, d := range []string{"state/lists/partial", "cache/archives/partial", "empty"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	for name, text := range map[string]string{
		"apt.conf": aptConfig(dir, arch), "sources.list": m.sources(keyring, arch), "status": "", "preferences": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	_, err = output(a.command(ctx, "apt-get", "update", "--error-on=any"))
	if err != nil {
		a.unreached = fmt.Errorf("fetch Debian's indexes: %w", err)
	}
	return a, ctx.Err()
}

// aptConfig is read behind the machine's configuration, of which only what tells how to get there, such as a proxy, shall
// remain: its hooks would clean up the machine's own caches.
func aptConfig(dir string, arch Arch) string {
	return fmt.Sprintf(`#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
#clear Acquire::IndexTargets::deb;
Acquire::IndexTargets::deb::Packages { MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; flatMetaKey "Packages"; Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages"; Optional "no"; };
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "2";
APT::Architecture %[2]q;
APT::Architectures { %[2]q; };
APT::Sandbox::User "";
Dir::Etc::sourcelist %[1]q;
Dir::Etc::sourceparts %[3]q;
Dir::Etc::preferences %[4]q;
Dir::Etc::preferencesparts %[3]q;
Dir::State %[5]q;
Dir::State::status %[6]q;
Dir::Cache %[7]q;
`, filepath.Join(dir, "sources.list"), string(arch), filepath.Join(dir, "empty"), filepath.Join(dir, "preferences"),
		filepath.Join(dir, "state"), filepath.Join(dir, "status"), filepath.Join(dir, "cache"))
}

// findKeyring finds the keys with which Debian signs.
func findKeyring() (string, error) {
	for _, name := range []string{"debian-archive-keyring.gpg", "debian-archive-keyring.pgp"} {
		path := filepath.Join("/usr/share/keyrings", name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("find Debian's keys: /usr/share/keyrings has none: run apt-get install debian-archive-keyring")
}

func (a *apt) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, append([]string{"-q", "-c", a.config}, args...)...)
}

// kernels returns all cloud kernels that the indexes know.
func (a *apt) kernels(ctx context.Context) ([]Kernel, error) {
	names, err := output(a.command(ctx, "apt-cache", "pkgnames", "linux-"))
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
		text, err := output(a.command(ctx, "apt-cache", args...))
		if err != nil {
			return nil, fmt.Errorf("list kernels: %w", err)
		}
		packages = parseMadison(text)
	}
	kernels := kernelsOf(packages, a.arch)
	if len(kernels) == 0 && a.unreached != nil {
		return nil, a.unreached
	}
	return kernels, nil
}

// parseMadison reads what apt-cache madison writes: package | version | source.
func parseMadison(text string) []Kernel {
	var packages []Kernel
	for line := range strings.Lines(text) {
		if fields := strings.Split(line, "|"); len(fields) == 3 {
			packages = append(packages, Kernel{Package: strings.TrimSpace(fields[0]), Version: strings.TrimSpace(fields[1])})
		}
	}
	return packages
}

// download puts a kernel's package into dir; apt holds it against the index, and that against Debian's signature.
func (a *apt) download(ctx context.Context, k Kernel, dir string) (string, error) {
	cmd := a.command(ctx, "apt-get", "download", k.String())
	cmd.Dir = dir
	if _, err := output(cmd); err != nil {
		return "", fmt.Errorf("download %v: %w", k, err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("download %v: apt-get left %d packages, want 1", k, len(found))
	}
	return found[0], nil
}

// output runs a command and returns what it writes; its error has what it complained of.
func output(cmd *exec.Cmd) (string, error) {
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.TrimSpace(complaint.String()))
	}
	return string(out), err
}
