package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Wanted is a kernel to run: a series, as 6.12 or rc, or a version, for an architecture.
type Wanted struct {
	Kernel string
	Arch   Arch
}

// Listed returns the kernels of the committed list: those of amd64, oldest first, then the others.
func Listed(sums Checksums) []Wanted {
	var all []Wanted
	for _, arch := range []Arch{AMD64, ARM64} {
		for _, k := range sums.Kernels(arch) {
			all = append(all, Wanted{k.Series(), arch})
		}
	}
	return all
}

// Options configures Run.
type Options struct {
	Module  string   // its root directory
	Suites  []Suite  // nil: Suites
	Run     string   // only tests that match, as -test.run; empty: all
	Kernels []Wanted // in the order of the report
	Timeout time.Duration
	Guests  int          // at the same time; 0: one
	Accel   Accel        // empty: TCG
	Notice  func(string) // called with the choice of Auto; nil: none
}

// spare is a guest's additional time to boot and to report.
const spare = 30 * time.Second

// Run runs the tests in a guest of each kernel, and calls report with the results, in the order of the kernels. It
// returns whether all passed, and an error if a run was impossible. A kernel that is not available has failed; the
// others run.
func Run(ctx context.Context, stores map[Arch]*Store, opts Options, report func(Result)) (passed bool, err error) {
	if opts.Timeout <= spare {
		return false, fmt.Errorf("run kernel tests: a guest needs more than %v", spare)
	}
	if len(opts.Kernels) == 0 {
		return false, fmt.Errorf("run kernel tests: %s lists no kernel: name some with -kernels", ChecksumFile)
	}
	for _, w := range opts.Kernels {
		if stores[w.Arch] == nil {
			return false, fmt.Errorf("run kernel tests: no store of kernels for %s", w.Arch)
		}
		if err := FindQEMU(w.Arch); err != nil {
			return false, err
		}
	}
	if opts.Suites == nil {
		opts.Suites = Suites
	}
	accels := make(map[Arch]Accel)
	for _, w := range opts.Kernels {
		if accels[w.Arch] != "" {
			continue
		}
		accel, err := opts.Accel.choose(w.Arch, hostArch(), func() error { return try(ctx, w.Arch, KVM) })
		if err != nil {
			return false, fmt.Errorf("run kernel tests: %w", err)
		}
		accels[w.Arch] = accel
		if opts.Accel == Auto && opts.Notice != nil {
			opts.Notice(fmt.Sprintf("%s guests run with %s", w.Arch, accel))
		}
	}
	made := make(map[Arch]func() (*os.File, error))
	for arch := range stores {
		made[arch] = sync.OnceValues(func() (*os.File, error) {
			archive, err := Initramfs(ctx, opts.Module, arch, opts.Suites, opts.Run, opts.Timeout-spare)
			if err != nil {
				return nil, err
			}
			return nameless(archive)
		})
	}
	r := &runner{
		opts:      opts,
		expected:  capabilities,
		initramfs: func(arch Arch) (*os.File, error) { return made[arch]() },
		get:       func(ctx context.Context, w Wanted) (Image, error) { return stores[w.Arch].Get(ctx, w.Kernel) },
		boot: func(ctx context.Context, arch Arch, kernel string, initramfs *os.File, limit time.Duration) outcome {
			return boot(ctx, arch, accels[arch], kernel, initramfs, limit)
		},
	}
	return r.run(ctx, func(one Result) {
		one.Accel = accels[one.Wanted.Arch]
		report(one)
	})
}

// runner is the shared state of a run.
type runner struct {
	opts      Options
	expected  []capability
	initramfs func(Arch) (*os.File, error)
	get       func(context.Context, Wanted) (Image, error)
	boot      func(ctx context.Context, arch Arch, kernel string, initramfs *os.File, limit time.Duration) outcome
}

func (r *runner) run(ctx context.Context, report func(Result)) (passed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make([]chan Result, len(r.opts.Kernels))
	for i := range results {
		results[i] = make(chan Result, 1)
	}
	var jobs sync.WaitGroup
	defer jobs.Wait()
	defer cancel()
	jobs.Go(func() {
		slots := make(chan struct{}, max(1, r.opts.Guests))
		for _, i := range r.order() {
			slots <- struct{}{}
			jobs.Go(func() {
				defer func() { <-slots }()
				results[i] <- r.one(ctx, r.opts.Kernels[i])
			})
		}
	})
	passed = true
	for _, result := range results {
		one := <-result
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if one.impossible != nil {
			return false, one.impossible
		}
		passed = passed && one.Passed()
		report(one)
	}
	return passed, nil
}

// order returns the kernels' indices, the first of each architecture first, so that their programs are built at the
// same time.
func (r *runner) order() []int {
	var first, rest []int
	seen := make(map[Arch]bool)
	for i, w := range r.opts.Kernels {
		if seen[w.Arch] {
			rest = append(rest, i)
		} else {
			first = append(first, i)
		}
		seen[w.Arch] = true
	}
	return append(first, rest...)
}

// one gets a kernel and runs the tests in a guest of it.
func (r *runner) one(ctx context.Context, w Wanted) Result {
	if ctx.Err() != nil {
		return Result{Wanted: w}
	}
	initramfs, err := r.initramfs(w.Arch)
	if err != nil {
		return Result{Wanted: w, impossible: err}
	}
	image, err := r.get(ctx, w)
	if err != nil {
		return Result{Wanted: w, Faults: []string{fmt.Sprintf("not available: %v", err)}}
	}
	o := r.boot(ctx, w.Arch, image.Path, initramfs, r.opts.Timeout)
	result := evaluate(image.Kernel, r.opts.Suites, r.expected, r.opts.Run != "", o, machines[w.Arch])
	result.Wanted = w
	return result
}

// nameless returns an open file without a name, which is removed when the last process closes it, however that ends.
func nameless(content []byte) (*os.File, error) {
	f, err := os.CreateTemp("", "netzero-kernels-")
	if err != nil {
		return nil, fmt.Errorf("store initramfs: %w", err)
	}
	_, err = f.Write(content)
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, fmt.Errorf("store initramfs: %w", errors.Join(err, f.Close()))
	}
	return f, nil
}
