package kernels

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// ErrChecksum is returned for a package with another checksum than the committed one.
var ErrChecksum = errors.New("checksum does not match")

// ChecksumFile is the path of the committed list from the module's root.
const ChecksumFile = "internal/kernels/checksums.txt"

//go:embed checksums.txt
var committed []byte

// checksumHead starts the list.
const checksumHead = `# The kernels that testkernels runs: sha256 of the package, its name, its version.
# Written by: go run ./internal/kernels/cmd/testkernels -write-checksums [-arch ARCH] [-kernels LIST]
`

// Checksums is a list of kernels with the sha256 of their packages, in hex.
type Checksums map[Kernel]string

// Committed returns the committed list.
func Committed() (Checksums, error) { return ParseChecksums(committed) }

// ParseChecksums parses a list.
func ParseChecksums(text []byte) (Checksums, error) {
	sums := make(Checksums)
	number := 0
	for line := range bytes.Lines(text) {
		number++
		fields := strings.Fields(string(line))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("read checksums: line %d: want 3 fields, sha256 package version", number)
		}
		sum, k := fields[0], Kernel{Package: fields[1], Version: fields[2]}
		if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size || sum != strings.ToLower(sum) {
			return nil, fmt.Errorf("read checksums: line %d: %q is not a sha256", number, sum)
		}
		if _, _, _, ok := splitName(k.Package); !ok {
			return nil, fmt.Errorf("read checksums: line %d: %q is not a kernel package", number, k.Package)
		}
		if _, ok := sums[k]; ok {
			return nil, fmt.Errorf("read checksums: line %d: %v is listed twice", number, k)
		}
		sums[k] = sum
	}
	return sums, nil
}

// Format returns the list in its committed form: by architecture and version.
func (c Checksums) Format() []byte {
	var b bytes.Buffer
	b.WriteString(checksumHead)
	for _, arch := range []Arch{AMD64, ARM64} {
		for _, k := range c.Kernels(arch) {
			fmt.Fprintf(&b, "%s %s %s\n", c[k], k.Package, k.Version)
		}
	}
	return b.Bytes()
}

// Kernels returns the kernels of an architecture, oldest first.
func (c Checksums) Kernels(arch Arch) []Kernel {
	var kernels []Kernel
	for k := range c {
		if strings.HasSuffix(k.Release(), "-"+string(arch)) {
			kernels = append(kernels, k)
		}
	}
	slices.SortFunc(kernels, func(a, b Kernel) int {
		if c := compareVersions(a.Version, b.Version); c != 0 {
			return c
		}
		return strings.Compare(a.Package, b.Package)
	})
	return kernels
}

// Set adds a kernel to the list, and removes others of its series and architecture.
func (c Checksums) Set(k Kernel, arch Arch, sum string) {
	for _, old := range c.Kernels(arch) {
		if old.Series() == k.Series() {
			delete(c, old)
		}
	}
	c[k] = sum
}

// check compares a package's sha256 with the list, if it contains the package. Errors: [ErrChecksum].
func (c Checksums) check(k Kernel, sum string) error {
	if want, ok := c[k]; ok && want != sum {
		return fmt.Errorf("check %v: %w: its sha256 is %s, %s says %s; the package or the list was changed",
			k, ErrChecksum, sum, ChecksumFile, want)
	}
	return nil
}

// sumFile returns the sha256 of a file, in hex.
func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("sum file: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("sum file %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
