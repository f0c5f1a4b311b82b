package recorder

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// longestBinary is how many bytes of a file name the kernel programs report.
const longestBinary = 63

// ownBinary is the name of the test binary, as the kernel programs report it.
var ownBinary = func() string {
	name := "/proc/self/exe"
	if executable, err := os.Executable(); err == nil {
		name = executable
	}
	return binaryName(path.Base(strings.TrimSuffix(name, " (deleted)")))
}()

// binaryName escapes a file name for the annotation, where commas separate entries and asterisks are patterns.
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

// binaryOf returns the program that opened a flow. It returns "" if the program is unknown, and for the test binary,
// because go test -c and debuggers name that differently.
func (s *snapshot) binaryOf(p flow.Process, contained bool) string {
	name := binaryName(p.Name)
	if !contained && (p.PID == s.self || name == ownBinary) {
		return ""
	}
	return name
}

// binariesErrors returns an error text if the option Binaries is not possible here.
func (s *resolution) binariesErrors() []string {
	if !s.options.Binaries {
		return nil
	}
	if why := s.executablesLimit; why != "" {
		return []string{fmt.Sprintf("Binaries: a second program that opens the same flow is not recorded: %s: leave "+
			"out the option here", why)}
	}
	return nil
}
