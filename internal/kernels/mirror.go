package kernels

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoMirror is returned where the machine's apt knows no Debian mirror.
var ErrNoMirror = errors.New("no Debian mirror among the machine's apt sources")

// suites are where Debian's kernels come from, and which archive has them. They are asked only for what is not in the cache.
var suites = []struct {
	name     string
	security bool
}{
	{"bullseye-security", true},
	{"bookworm-security", true},
	{"trixie-security", true},
	{"trixie-backports", false},
	{"sid", false},
	{"experimental", false},
}

// releases are Debian's, by the names under which a machine's sources may have them.
var releases = []string{
	"bullseye", "bookworm", "trixie", "forky", "duke", "sid",
	"oldoldstable", "oldstable", "stable", "testing", "unstable",
}

// mirrors are the addresses of Debian's archives.
type mirrors struct{ main, security string }

// indexFormat makes apt-get indextargets write what parseTargets reads.
const indexFormat = "$(REPO_URI) $(RELEASE)"

// parseTargets finds the mirrors in what apt knows of the machine's sources. What is not Debian's is passed over.
// Errors: [ErrNoMirror].
func parseTargets(text string) (mirrors, error) {
	var m mirrors
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		address := strings.TrimSuffix(fields[0], "/")
		// bullseye-security, and buster/updates as it was called before
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
		return mirrors{}, fmt.Errorf("%w: name one with -mirror", ErrNoMirror)
	}
	// A mirror that has both has them side by side.
	m.security = cmp.Or(m.security, m.main+"-security")
	return m, nil
}

// sources writes the sources.list that has Debian's kernels.
func (m mirrors) sources(keyring string, arch Arch) string {
	var b strings.Builder
	for _, s := range suites {
		address := m.main
		if s.security {
			address = m.security
		}
		fmt.Fprintf(&b, "deb [arch=%s signed-by=%s] %s %s main\n", arch, keyring, address, s.name)
	}
	return b.String()
}
