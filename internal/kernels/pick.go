package kernels

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoKernel is returned if Debian has no kernel of the requested version.
var ErrNoKernel = errors.New("no such kernel")

// splitName splits a package's name: linux-image-RELEASE or linux-binary-RELEASE contains the kernel of a release, with
// the suffix "-unsigned" or the prefix "unsigned-" for one that is not signed for Secure Boot.
func splitName(name string) (kind, release string, unsigned, ok bool) {
	kind, release, ok = strings.Cut(strings.TrimPrefix(name, "linux-"), "-")
	if !ok || !strings.HasPrefix(name, "linux-") || kind != "image" && kind != "binary" {
		return "", "", false, false
	}
	release, before := strings.CutPrefix(release, "unsigned-")
	release, behind := strings.CutSuffix(release, "-unsigned")
	return kind, release, before || behind, true
}

// kernelsOf returns the packages with a cloud kernel of the architecture. From 6.19 on linux-image-RELEASE only depends
// on others, as linux-image-6.1-cloud-amd64 and similar packages always did.
func kernelsOf(packages []Kernel, arch Arch) []Kernel {
	binaries := make(map[string]bool)
	for _, k := range packages {
		if kind, release, _, ok := splitName(k.Package); ok && kind == "binary" {
			binaries[release] = true
		}
	}
	var kernels []Kernel
	for _, k := range packages {
		kind, release, _, ok := splitName(k.Package)
		number, isCloud := strings.CutSuffix(release, "-cloud-"+string(arch))
		switch {
		case !ok || !isCloud || number == "":
		case kind == "image" && (binaries[release] || strings.Count(number, ".") < 2):
		default:
			kernels = append(kernels, k)
		}
	}
	return kernels
}

// newest returns the newest matching kernel; a signed one rather than its unsigned twin. Errors: [ErrNoKernel], with
// the available ones.
func newest(kernels []Kernel, requested string) (Kernel, error) {
	var found []Kernel
	for _, k := range kernels {
		if k.Is(requested) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		return Kernel{}, fmt.Errorf("find kernel %s: %w: there are %s", requested, ErrNoKernel,
			strings.Join(seriesOf(kernels), ", "))
	}
	return slices.MaxFunc(found, func(a, b Kernel) int {
		if c := compareVersions(a.Version, b.Version); c != 0 {
			return c
		}
		_, _, unsignedA, _ := splitName(a.Package)
		_, _, unsignedB, _ := splitName(b.Package)
		switch {
		case unsignedA && !unsignedB:
			return -1
		case unsignedB && !unsignedA:
			return 1
		}
		return strings.Compare(a.Package, b.Package)
	}), nil
}

// seriesOf returns the series of kernels, sorted, without duplicates.
func seriesOf(kernels []Kernel) []string {
	var series []string
	for _, k := range kernels {
		series = append(series, k.Series())
	}
	slices.SortFunc(series, compareVersions)
	return slices.Compact(series)
}
