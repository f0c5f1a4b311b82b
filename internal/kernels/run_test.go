package kernels

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

func TestListed_AllArchitectures(t *testing.T) {
	got := Listed(Checksums{
		{"linux-binary-7.3-cloud-amd64", "7.3~rc7-1~exp1"}:       "",
		{"linux-image-6.12.117+deb13-cloud-arm64", "6.12.117-1"}: "",
		{"linux-image-5.10.0-46-cloud-amd64", "5.10.262-1"}:      "",
	})
	want := []Wanted{{"5.10", AMD64}, {"rc", AMD64}, {"6.12", ARM64}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernels (-want +got):\n%s", diff)
	}
	r := runner{opts: Options{Kernels: got}}
	if diff := cmp.Diff([]int{0, 2, 1}, r.order()); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// fake returns a runner with guests that all pass, and testKernel as every kernel.
func fake(t *testing.T, wanted ...string) *runner {
	r := &runner{
		opts:      Options{Suites: testSuites, Guests: 2},
		initramfs: func(Arch) (*os.File, error) { return nil, nil },
		get:       func(context.Context, Wanted) (Image, error) { return Image{Kernel: testKernel}, nil },
	}
	for _, w := range wanted {
		r.opts.Kernels = append(r.opts.Kernels, Wanted{w, AMD64})
	}
	passing := outcome{received: sendAll(t, whole()), status: guest.PassedStatus}
	r.boot = func(context.Context, Arch, string, *os.File, time.Duration) outcome { return passing }
	return r
}

func TestRun_UnavailableKernel(t *testing.T) {
	r := fake(t, "5.10", "6.12", "7.2")
	get := r.get
	r.get = func(ctx context.Context, w Wanted) (Image, error) {
		if w.Kernel == "6.12" {
			return Image{}, errors.New("download linux-image=6.12.117-1: 404  Not Found")
		}
		return get(ctx, w)
	}
	var text strings.Builder
	var ran int
	passed, err := r.run(t.Context(), func(one Result) {
		text.WriteString(one.Text(false))
		if one.Passed() {
			ran++
		}
	})
	if passed || err != nil || ran != 2 {
		t.Errorf("passed %v with %d kernels, %v; want a failure after 2", passed, ran, err)
	}
	if want := "FAIL 6.12 (0 tests, 0.0s, 0.0s of CPU)\n    not available: download linux-image=6.12.117-1: 404  " +
		"Not Found\n"; !strings.Contains(text.String(), want) {
		t.Errorf("the text does not say %q:\n%s", want, &text)
	}
}

func TestRun_AllPass(t *testing.T) {
	passed, err := fake(t, "5.10", "6.12", "7.2").run(t.Context(), func(Result) {})
	if !passed || err != nil {
		t.Errorf("passed %v, %v", passed, err)
	}
}

func TestRun_BuildFailure(t *testing.T) {
	r := fake(t, "5.10", "6.12")
	broken := errors.New("does not compile")
	r.initramfs = func(Arch) (*os.File, error) { return nil, broken }
	if passed, err := r.run(t.Context(), func(Result) {}); passed || !errors.Is(err, broken) {
		t.Errorf("passed %v, %v; want %v", passed, err, broken)
	}
}
