package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// apt is an apt with a configuration, indexes and caches of its own below dir. It believes that nothing is installed, so
// what it would install is all that a package depends on.
type apt struct{ dir string }

// openApt makes a private apt and fetches its indexes. mirror is Debian's main archive, or empty for the machine's own.
func openApt(ctx context.Context, dir, mirror string) (*apt, error) {
	main, security := mirror, mirror+"-security"
	if mirror == "" {
		var err error
		if main, security, err = ownMirrors(ctx); err != nil {
			return nil, err
		}
	}
	keyring, err := findKeyring()
	if err != nil {
		return nil, err
	}
	a := &apt{dir: dir}
	for _, d := range []string{"lists/partial", "archives/partial", "empty"} {
		if err := os.MkdirAll(a.path(d), 0o755); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	sources := fmt.Sprintf("deb [signed-by=%[1]s] %[2]s %[4]s main\ndeb [signed-by=%[1]s] %[3]s %[4]s-security main\n", keyring, main, security, suite)
	for name, text := range map[string]string{"apt.conf": a.config(), "sources.list": sources, "status": "", "preferences": ""} {
		if err := os.WriteFile(a.path(name), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("configure apt: %w", err)
		}
	}
	if _, err := a.get(ctx, "update", "--error-on=any"); err != nil {
		return nil, fmt.Errorf("fetch Debian's indexes: %w", err)
	}
	return a, nil
}

func (a *apt) path(name string) string { return filepath.Join(a.dir, filepath.FromSlash(name)) }

// config is read behind the machine's own, of which what tells the way to the archive stays, such as a proxy. Its hooks do
// not: they tidy up caches that are not ours.
func (a *apt) config() string {
	var b strings.Builder
	for _, list := range []string{
		"APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success", "DPkg::Pre-Install-Pkgs",
		"APT::Architectures", "Acquire::IndexTargets::deb",
	} {
		fmt.Fprintf(&b, "#clear %s;\n", list)
	}
	b.WriteString(`Acquire::IndexTargets::deb::Packages { MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; Description "$(RELEASE) $(ARCHITECTURE)"; Optional "no"; };` + "\n")
	for _, set := range [][2]string{
		{"APT::Architecture", runtime.GOARCH}, {"APT::Install-Recommends", "false"}, {"APT::Sandbox::User", ""},
		{"Acquire::Languages", "none"}, {"Acquire::Retries", "2"}, {"Acquire::http::Timeout", "30"},
		{"Dir::Etc::sourcelist", a.path("sources.list")}, {"Dir::Etc::sourceparts", a.path("empty")},
		{"Dir::Etc::preferences", a.path("preferences")}, {"Dir::Etc::preferencesparts", a.path("empty")},
		{"Dir::State", a.dir}, {"Dir::State::lists", a.path("lists")}, {"Dir::State::status", a.path("status")},
		{"Dir::Cache", a.dir}, {"Dir::Cache::archives", a.path("archives")},
	} {
		fmt.Fprintf(&b, "%s %q;\n", set[0], set[1])
	}
	return b.String()
}

func (a *apt) get(ctx context.Context, args ...string) (string, error) {
	cmd := Engine{Client: "apt-get"}.command(ctx, append([]string{"-q", "-c", a.path("apt.conf")}, args...)...)
	cmd.Dir = a.path("archives")
	return output(cmd)
}

// fetch downloads packages and what they depend on, and returns their files, in order.
func (a *apt) fetch(ctx context.Context, packages, without []string) ([]string, error) {
	plan, err := a.get(ctx, append([]string{"install", "--simulate"}, packages...)...)
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
	if _, err := a.get(ctx, append([]string{"download"}, wanted...)...); err != nil {
		return nil, fmt.Errorf("download packages: %w", err)
	}
	files, err := filepath.Glob(a.path("archives/*.deb"))
	if err == nil && len(files) != len(wanted) {
		err = fmt.Errorf("apt-get left %d packages, want %d", len(files), len(wanted))
	}
	if err != nil {
		return nil, fmt.Errorf("download packages: %w", err)
	}
	slices.Sort(files)
	return files, nil
}

// parsePlan reads what apt-get --simulate would install, as name=version: Inst dash (0.5.12-2 Debian:12.15/oldstable [amd64]).
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

// matches is path.Match for patterns that are known to be right.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// ownMirrors finds Debian's archives among the machine's apt sources.
func ownMirrors(ctx context.Context) (main, security string, err error) {
	out, err := output(Engine{Client: "apt-get"}.command(ctx, "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(ORIGIN) $(LABEL)", "Created-By: Packages"))
	if err != nil {
		return "", "", fmt.Errorf("find Debian mirror: %w", err)
	}
	if main, security = parseTargets(out); main == "" {
		return "", "", errors.New("find Debian mirror: the machine's apt sources have none: name one with -mirror (make images MIRROR=http://HOST/debian)")
	}
	return main, security, nil
}

// parseTargets reads lines of address, release, origin, and label. Origin and label are unknown before the first apt-get update.
func parseTargets(text string) (main, security string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || len(f) > 2 && f[2] != "Debian" {
			continue
		}
		address := strings.TrimSuffix(f[0], "/")
		switch base := path.Base(address); {
		case base == "debian-security" && security == "":
			security = address
		case base == "debian" && main == "":
			main = address
		}
	}
	if security == "" && main != "" {
		security = main + "-security" // a mirror that has both has them side by side
	}
	return main, security
}

// findKeyring finds the keys with which Debian signs.
func findKeyring() (string, error) {
	found, err := filepath.Glob("/usr/share/keyrings/debian-archive-keyring.[gp][pg]*")
	if err != nil || len(found) == 0 {
		return "", errors.New("find Debian's keys: /usr/share/keyrings has none: run apt-get install debian-archive-keyring")
	}
	return found[0], nil
}
