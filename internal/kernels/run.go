package kernels

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Options is what to run, and how.
type Options struct {
	Module  string   // its root directory
	Suites  []Suite  // nil: Suites
	Run     string   // only tests that match, as -test.run; empty: all
	Kernels []string // by series, as 6.12, or version; nil: those of the committed list
	Timeout time.Duration
	Guests  int // at the same time; 0: one
}

// spare is the time that a guest has beyond its tests', to boot and to tell.
const spare = 30 * time.Second

// Run runs the tests in a guest of each kernel, and calls report with what came of it, in the order of the kernels. It
// returns whether all passed, and an error where a run was impossible.
func Run(ctx context.Context, store *Store, opts Options, report func(Result)) (passed bool, err error) {
	if opts.Timeout <= spare {
		return false, fmt.Errorf("run kernel tests: a guest needs more than %v", spare)
	}
	if err := FindQEMU(store.Arch); err != nil {
		return false, err
	}
	if opts.Kernels == nil {
		for _, k := range store.Sums.Kernels(store.Arch) {
			opts.Kernels = append(opts.Kernels, k.Series())
		}
	}
	if len(opts.Kernels) == 0 {
		return false, fmt.Errorf("run kernel tests: %s lists no kernel for %s: name some with -kernels", ChecksumFile, store.Arch)
	}
	var images []Image
	for _, asked := range opts.Kernels {
		image, err := store.Get(ctx, asked)
		if err != nil {
			return false, err
		}
		images = append(images, image)
	}
	suites := opts.Suites
	if suites == nil {
		suites = Suites
	}
	archive, err := Initramfs(ctx, opts.Module, store.Arch, suites, opts.Run, opts.Timeout-spare)
	if err != nil {
		return false, err
	}
	initramfs, err := nameless(archive)
	if err != nil {
		return false, fmt.Errorf("run kernel tests: %w", err)
	}
	defer initramfs.Close()
	results := make([]chan Result, len(images))
	slots := make(chan struct{}, max(1, opts.Guests))
	var guests sync.WaitGroup
	defer guests.Wait()
	for i, image := range images {
		results[i] = make(chan Result, 1)
		guests.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			o := boot(ctx, store.Arch, image.Path, initramfs, opts.Timeout)
			results[i] <- judge(image.Kernel, suites, opts.Run != "", o, machines[store.Arch])
		})
	}
	passed = true
	for _, result := range results {
		r := <-result
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		passed = passed && r.Passed()
		report(r)
	}
	return passed, nil
}

// nameless returns an open file without a name, so that it goes with the last who has it open, however that ends.
func nameless(content []byte) (*os.File, error) {
	f, err := os.CreateTemp("", "netzero-kernels-")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
