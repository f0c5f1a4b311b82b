package probe

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Floor is the oldest Linux release with the required helpers for cgroup programs and links to cgroups.
var Floor = Version{5, 10}

// Version is the first two numbers of a Linux release.
type Version struct{ Major, Minor int }

// Less reports whether v is older than w.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Release returns the release of the running kernel ("6.1.0-56-cloud-amd64").
func Release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("read the kernel's release: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}

// CheckRelease returns [ErrNotSupported] for a release older than [Floor]. A release without a leading version passes:
// the verifier decides.
func CheckRelease(release string) error {
	if v, ok := parseRelease(release); ok && v.Less(Floor) {
		return fmt.Errorf("%w: Linux %s is older than %s", ErrNotSupported, release, Floor)
	}
	return nil
}

func parseRelease(release string) (v Version, ok bool) {
	_, err := fmt.Sscanf(release, "%d.%d", &v.Major, &v.Minor)
	return v, err == nil
}
