// Package kernels boots real Debian kernels under QEMU and runs this module's tests as root inside each.
//
// It is for this repository only; the command testkernels runs it. Kernels are Debian packages, fetched with a separate
// apt configuration and compared with the committed checksums.txt. The machine's apt is read for the mirror, and never
// changed. The tests are the same as those on the host.
//
// Tests declare the kernel's capabilities (internal/testenv); capabilities.go has the expected ones for every kernel,
// and docs/kernels.md the results.
//
// A run passes only if everything was seen to pass: a guest that dies, a missing record, a package without a run test,
// another kernel than the requested one, an unavailable kernel, an unexpected or undeclared capability and a warning of
// the kernel all fail it. Limits: a guest has one CPU, by default without hardware support, so timings in it mean
// nothing, and has no network but loopback, no kernel modules, no Docker, no shell, and no go command.
package kernels

import (
	"fmt"
	"strings"
)

// Kernel is a Debian package with a kernel.
type Kernel struct {
	Package string // as linux-image-6.12.117+deb13-cloud-amd64
	Version string // of the package, as 6.12.117-1
}

// String returns the package in the syntax of apt-get.
func (k Kernel) String() string { return k.Package + "=" + k.Version }

// Upstream returns the kernel's version, as 6.12.117 or 7.3-rc7.
func (k Kernel) Upstream() string {
	version := k.Version
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version = version[:i]
	}
	return strings.Replace(version, "~rc", "-rc", 1)
}

// Candidates is the series of all release candidates: there is seldom more than one at a time, and each becomes a
// kernel of its series.
const Candidates = "rc"

// Series returns the first two numbers of the kernel's version, as 6.12, or [Candidates].
func (k Kernel) Series() string {
	if strings.Contains(k.Upstream(), "-rc") {
		return Candidates
	}
	return k.Number()
}

// Number returns the first two numbers of the kernel's version, as 6.12, of a release candidate too: 7.3.
func (k Kernel) Number() string {
	version, _, _ := strings.Cut(k.Upstream(), "-rc")
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// Arch returns the kernel's architecture.
func (k Kernel) Arch() Arch {
	release := k.Release()
	return Arch(release[strings.LastIndexByte(release, '-')+1:])
}

// label returns the kernel's name in docs/kernels.md, which patch releases share.
func (k Kernel) label() string {
	if k.Arch() == AMD64 {
		return k.Number()
	}
	return k.Number() + " " + string(k.Arch())
}

// Release returns the guest's uname -r, as 6.12.117+deb13-cloud-amd64.
func (k Kernel) Release() string {
	_, release, _, _ := splitName(k.Package)
	return release
}

// Is reports whether the kernel matches a request: a series, as 6.12 or rc, or a version, as 6.12.117 or 7.3-rc7. Every
// kernel matches an empty request.
func (k Kernel) Is(requested string) bool {
	if requested == Candidates {
		return k.Series() == Candidates
	}
	rest, ok := strings.CutPrefix(k.Upstream(), requested)
	return ok && (requested == "" || rest == "" || rest[0] == '.' || rest[0] == '-')
}

// Arch is an architecture by its Debian name, which is Go's too.
type Arch string

const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// ParseArch parses the name of an architecture.
func ParseArch(name string) (Arch, error) {
	switch a := Arch(name); a {
	case AMD64, ARM64:
		return a, nil
	}
	return "", fmt.Errorf("unknown architecture %q: there are amd64 and arm64", name)
}
