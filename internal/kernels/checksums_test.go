package kernels

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	sumA = strings.Repeat("a", 64)
	sumB = strings.Repeat("b", 64)
)

func TestChecksums_RoundTrip(t *testing.T) {
	text := checksumHead + "\n" + sumB + "  linux-image-6.12.117+deb13-cloud-amd64 6.12.117-1\n" +
		sumA + " linux-image-5.10.0-46-cloud-amd64 5.10.262-1\n" + sumA +
		" linux-image-5.10.0-46-cloud-arm64 5.10.262-1\n"
	sums, err := ParseChecksums([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	sums.Set(Kernel{"linux-image-6.12.118+deb13-cloud-amd64", "6.12.118-1"}, AMD64, sumB)
	sums.Set(Kernel{"linux-image-6.1.0-56-cloud-amd64", "6.1.192-2"}, AMD64, sumB)
	// A release and a candidate of its series do not replace each other.
	sums.Set(Kernel{"linux-binary-7.3-cloud-amd64", "7.3~rc7-1~exp1"}, AMD64, sumA)
	sums.Set(Kernel{"linux-binary-7.3.4+deb13-cloud-amd64", "7.3.4-1~bpo13+1"}, AMD64, sumA)
	want := checksumHead +
		sumA + " linux-image-5.10.0-46-cloud-amd64 5.10.262-1\n" +
		sumB + " linux-image-6.1.0-56-cloud-amd64 6.1.192-2\n" +
		sumB + " linux-image-6.12.118+deb13-cloud-amd64 6.12.118-1\n" +
		sumA + " linux-binary-7.3-cloud-amd64 7.3~rc7-1~exp1\n" +
		sumA + " linux-binary-7.3.4+deb13-cloud-amd64 7.3.4-1~bpo13+1\n" +
		sumA + " linux-image-5.10.0-46-cloud-arm64 5.10.262-1\n"
	if diff := cmp.Diff(want, string(sums.Format())); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestChecksums_InvalidFile(t *testing.T) {
	const kernel = " linux-image-5.10.0-46-cloud-amd64 5.10.262-1\n"
	for _, c := range []struct{ reason, text, want string }{
		{"a field is missing", sumA + " linux-image-5.10.0-46-cloud-amd64\n", "line 1: want 3 fields"},
		{"a field too many", sumA + " linux-image-x 1 2\n", "line 1: want 3 fields"},
		{"short", "# head\nabcd" + kernel, "line 2: \"abcd\" is not a sha256"},
		{"not hex", strings.Repeat("x", 64) + kernel, "is not a sha256"},
		{"upper case, which would never match", strings.ToUpper(sumA) + kernel, "is not a sha256"},
		{"another package", sumA + " bash 5.2\n", "\"bash\" is not a kernel package"},
		{"twice", sumA + kernel + sumB + kernel, "line 2: linux-image-5.10.0-46-cloud-amd64=5.10.262-1 is listed twice"},
	} {
		if _, err := ParseChecksums([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestChecksums_Mismatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deb")
	if err := os.WriteFile(path, []byte("abc"), 0o644); err != nil {
		t.Fatal(err)
	}
	sum, err := sumFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; sum != want { // FIPS 180-2
		t.Errorf("sha256 of abc is %s, want %s", sum, want)
	}
	k := Kernel{"linux-image-5.10.0-46-cloud-amd64", "5.10.262-1"}
	for _, c := range []struct {
		reason string
		sums   Checksums
		want   error
	}{
		{"it matches", Checksums{k: sum}, nil},
		{"it does not", Checksums{k: sumA}, ErrChecksum},
		{"another version is listed: apt's signature is the guard", Checksums{{k.Package, "5.10.1-1"}: sumA}, nil},
	} {
		if err := c.sums.check(k, sum); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.reason, err, c.want)
		}
	}
}

func TestChecksums_CommittedFormat(t *testing.T) {
	sums, err := Committed()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(sums.Format()), string(committed)); diff != "" {
		t.Errorf("checksums.txt (-as written +committed):\n%s", diff)
	}
	if len(sums.Kernels(AMD64)) == 0 {
		t.Error("no kernel is listed")
	}
}
