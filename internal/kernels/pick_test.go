package kernels

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCompareVersions_Debian(t *testing.T) {
	for _, c := range []struct {
		reason, a, b string
		want         int
	}{
		{"equal", "6.12.117-1", "6.12.117-1", 0},
		{"numbers by value", "6.9.1-1", "6.12.1-1", -1},
		{"a release candidate comes before its release", "7.3~rc7-1~exp1", "7.3-1", -1},
		{"a release candidate comes before a point release", "7.3~rc7-1~exp1", "7.3.4-1~bpo13+1", -1},
		{"a backport comes before what it ports", "6.12.117-1~deb12u1", "6.12.117-1", -1},
		{"rc10 after rc9", "7.3~rc10-1", "7.3~rc9-1", 1},
		{"the revision decides last", "6.1.192-2", "6.1.192-10", -1},
		{"an epoch decides first", "1:1.0-1", "9.0-1", 1},
		{"zeros in front count for nothing", "1.010", "1.10", 0},
		{"a letter before a plus", "1.0a", "1.0+", -1},
		{"longer is newer", "7.2.12", "7.2.12.1", -1},
		{"an end before a letter", "1.0", "1.0a", -1},
	} {
		if got := compareVersions(c.a, c.b); got != c.want {
			t.Errorf("%s: compareVersions(%q, %q) = %d, want %d", c.reason, c.a, c.b, got, c.want)
		}
		if got := compareVersions(c.b, c.a); got != -c.want {
			t.Errorf("%s: compareVersions(%q, %q) = %d, want %d", c.reason, c.b, c.a, got, -c.want)
		}
		if dpkg, err := exec.LookPath("dpkg"); err == nil { // an independent oracle
			relation := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[c.want]
			if err := exec.Command(dpkg, "--compare-versions", c.a, relation, c.b).Run(); err != nil {
				t.Errorf("%s: dpkg does not agree that %q is %s %q", c.reason, c.a, relation, c.b)
			}
		}
	}
}

// The output of apt-cache madison, shortened.
const madison = `
linux-image-5.10.0-9-cloud-amd64 | 5.10.70-1 | http://mirror.invalid/debian-security bullseye-security/main amd64 Packages
linux-image-5.10.0-46-cloud-amd64 | 5.10.262-1 | http://mirror.invalid/debian-security bullseye-security/main amd64 Packages
linux-image-5.10.0-46-cloud-amd64-unsigned | 5.10.262-1 | http://mirror.invalid/debian-security bullseye-security/main amd64 Packages
linux-image-6.1.0-56-cloud-amd64 |  6.1.192-2 | http://mirror.invalid/debian-security bookworm-security/main amd64 Packages
linux-image-6.1-cloud-amd64 |  6.1.200-1 | http://mirror.invalid/debian-security bullseye-security/main amd64 Packages
linux-image-cloud-amd64 |  7.2.12-1 | http://mirror.invalid/debian sid/main amd64 Packages
linux-image-6.12.117+deb12-cloud-amd64 | 6.12.117-1~deb12u1 | http://mirror.invalid/debian-security bookworm-security/main amd64 Packages
linux-image-6.12.117+deb13-cloud-amd64 | 6.12.117-1 | http://mirror.invalid/debian-security trixie-security/main amd64 Packages
linux-image-6.12.117+deb13-amd64 | 6.12.118-1 | http://mirror.invalid/debian-security trixie-security/main amd64 Packages
linux-image-7.2.12+deb13-cloud-amd64 | 7.2.12-1~bpo13+1 | http://mirror.invalid/debian trixie-backports/main amd64 Packages
linux-binary-7.2.12+deb13-cloud-amd64 | 7.2.12-1~bpo13+1 | http://mirror.invalid/debian trixie-backports/main amd64 Packages
linux-binary-7.3-cloud-amd64 | 7.3~rc7-1~exp1 | http://mirror.invalid/debian experimental/main amd64 Packages
linux-binary-unsigned-7.3-cloud-amd64 | 7.3~rc7-1~exp1 | http://mirror.invalid/debian experimental/main amd64 Packages
linux-modules-7.3-cloud-amd64 | 7.3~rc7-1~exp1 | http://mirror.invalid/debian experimental/main amd64 Packages
linux-headers-7.4-cloud-amd64 | 7.4-1 | http://mirror.invalid/debian experimental/main amd64 Packages
linux-binary-unsigned-7.5.1+deb13-cloud-amd64 | 7.5.1-1~bpo13+1 | http://mirror.invalid/debian trixie-backports/main amd64 Packages
linux-binary-7.4-cloud-arm64 | 7.4-1 | http://mirror.invalid/debian experimental/main arm64 Packages
`

func TestNewest_Series(t *testing.T) {
	kernels := kernelsOf(parseMadison(madison), AMD64)
	for _, c := range []struct{ reason, requested, want string }{
		{"numbers count, not strings; signed before unsigned", "5.10", "linux-image-5.10.0-46-cloud-amd64=5.10.262-1"},
		{"an exact version", "5.10.70", "linux-image-5.10.0-9-cloud-amd64=5.10.70-1"},
		{"a metapackage is no kernel; 6.1 is not 6.12", "6.1", "linux-image-6.1.0-56-cloud-amd64=6.1.192-2"},
		{"only cloud kernels", "6.12", "linux-image-6.12.117+deb13-cloud-amd64=6.12.117-1"},
		{"linux-image became a metapackage", "7.2", "linux-binary-7.2.12+deb13-cloud-amd64=7.2.12-1~bpo13+1"},
		{"a release candidate by its series", "7.3", "linux-binary-7.3-cloud-amd64=7.3~rc7-1~exp1"},
		{"a release candidate by its name", "7.3-rc7", "linux-binary-7.3-cloud-amd64=7.3~rc7-1~exp1"},
		{"the newest release candidate", "rc", "linux-binary-7.3-cloud-amd64=7.3~rc7-1~exp1"},
		{"any", "", "linux-binary-unsigned-7.5.1+deb13-cloud-amd64=7.5.1-1~bpo13+1"},
		{"an unsigned one boots too", "7.5", "linux-binary-unsigned-7.5.1+deb13-cloud-amd64=7.5.1-1~bpo13+1"},
	} {
		got, err := newest(kernels, c.requested)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if got.String() != c.want {
			t.Errorf("%s: %s is %v, want %s", c.reason, c.requested, got, c.want)
		}
	}
}

func TestNewest_Missing(t *testing.T) {
	kernels := kernelsOf(parseMadison(madison), AMD64)
	for _, requested := range []string{"4.19", "7.4", "6", "6.12.11", "5.10.262-rc1"} {
		k, err := newest(kernels, requested)
		if requested == "6" { // a prefix of whole numbers is a valid request
			if err != nil || k.Series() != "6.12" {
				t.Errorf("newest 6: %v, %v", k, err)
			}
			continue
		}
		if !errors.Is(err, ErrNoKernel) {
			t.Errorf("%q: %v, %v, want ErrNoKernel", requested, k, err)
		} else if want := "there are 5.10, 6.1, 6.12, 7.2, 7.5, rc"; !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v does not say %q", requested, err, want)
		}
	}
}

func TestKernel_Names(t *testing.T) {
	type names struct{ Upstream, Series, Release string }
	for _, c := range []struct {
		kernel Kernel
		want   names
	}{
		{Kernel{"linux-image-5.10.0-46-cloud-amd64", "5.10.262-1"}, names{"5.10.262", "5.10", "5.10.0-46-cloud-amd64"}},
		{Kernel{"linux-binary-7.3-cloud-amd64", "7.3~rc7-1~exp1"}, names{"7.3-rc7", "rc", "7.3-cloud-amd64"}},
		{Kernel{"linux-binary-unsigned-7.5.1+deb13-cloud-arm64", "7.5.1-1~bpo13+1"},
			names{"7.5.1", "7.5", "7.5.1+deb13-cloud-arm64"}},
		{Kernel{"linux-image-5.10.0-46-cloud-amd64-unsigned", "5.10.262-1"},
			names{"5.10.262", "5.10", "5.10.0-46-cloud-amd64"}},
	} {
		got := names{c.kernel.Upstream(), c.kernel.Series(), c.kernel.Release()}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.kernel, diff)
		}
	}
}
