package recorder

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// longestBinary is how much of a file's name the kernel's programs tell.
const longestBinary = 63

// ownBinary is the name of the test binary, as the kernel's programs tell it.
var ownBinary = func() string {
	name := "/proc/self/exe"
	if executable, err := os.Executable(); err == nil {
		name = executable
	}
	return binaryName(path.Base(strings.TrimSuffix(name, " (deleted)")))
}()

// binaryName is a file's name as an entry of the annotation, where commas part entries and asterisks match others.
func binaryName(name string) string {
	if len(name) > longestBinary {
		name = name[:longestBinary]
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("._+@-", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// binaryOf is the program that opened a flow, or "" where it is not known, or is the test's own binary, which has
// another name with go test -c or a debugger.
func (s *snapshot) binaryOf(p flow.Process, contained bool) string {
	name := binaryName(p.Name)
	if !contained && (p.PID == s.self || name == ownBinary) {
		return ""
	}
	return name
}

// binariesErrors says why the option Binaries cannot be kept.
func (r *resolution) binariesErrors() []string {
	if !r.options.Binaries {
		return nil
	}
	if why := r.executablesLimit; why != "" {
		return []string{fmt.Sprintf("Binaries: a second program that opens what another has opened is not seen: %s: leave the option out here", why)}
	}
	return nil
}
