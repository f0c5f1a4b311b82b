package debian

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// ErrNoMirror is returned if no mirror is given, and the machine's apt has none of Debian's.
var ErrNoMirror = errors.New("no Debian mirror among the machine's apt sources: name one with -mirror")

// releases are Debian's releases, in the spellings of a machine's sources.
var releases = []string{
	"bullseye", "bookworm", "trixie", "forky", "duke", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// mirrors are the addresses of Debian's archives.
type mirrors struct{ main, security string }

// findMirrors returns the given mirror, otherwise that of the machine's own apt.
func findMirrors(ctx context.Context, given string) (mirrors, error) {
	if given != "" {
		given = strings.TrimSuffix(given, "/")
		return mirrors{main: given, security: given + "-security"}, nil
	}
	text, err := output(exec.CommandContext(ctx, "apt-get", "indextargets", "--no-release-info", "--format",
		indexFormat, "Created-By: Packages"))
	if err != nil {
		return mirrors{}, err
	}
	return parseTargets(text)
}

// indexFormat makes apt-get indextargets print the input of parseTargets.
const indexFormat = "$(REPO_URI) $(RELEASE)"

// parseTargets finds Debian's mirrors among the machine's sources. It skips others. Errors: [ErrNoMirror].
func parseTargets(text string) (mirrors, error) {
	var m mirrors
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		address := strings.TrimSuffix(fields[0], "/")
		// bullseye-security, formerly buster/updates
		release, _, _ := strings.Cut(fields[1], "/")
		base, pocket, _ := strings.Cut(release, "-")
		switch {
		case !slices.Contains(releases, base):
		case pocket == "security" || fields[1] != release:
			m.security = cmp.Or(m.security, address)
		case pocket == "" || pocket == "updates" || pocket == "backports":
			m.main = cmp.Or(m.main, address)
		}
	}
	if m.main == "" {
		return mirrors{}, ErrNoMirror
	}
	// A mirror of both has them in adjacent directories.
	m.security = cmp.Or(m.security, m.main+"-security")
	return m, nil
}

// sources returns the sources.list for the suites.
func (m mirrors) sources(keyring, arch string, suites []Suite) string {
	var b strings.Builder
	for _, s := range suites {
		address := m.main
		if s.Security {
			address = m.security
		}
		fmt.Fprintf(&b, "deb [arch=%s signed-by=%s] %s %s main\n", arch, keyring, address, s.Name)
	}
	return b.String()
}
