// Command testkernels runs this module's kernel tests on real Debian kernels under QEMU, and prints a line for each.
//
//	go run ./internal/kernels/cmd/testkernels [-kernels 5.10,6.19,6.12/arm64,...] [-run REGEXP]
//		[-accel tcg|kvm|auto] [-check] [-v]
//	go run ./internal/kernels/cmd/testkernels -measure [-kernels ...]
//
// Without -kernels and -run it runs all kernels of the committed list, and writes docs/kernels.md if all passed. With
// -check, the default in CI, it fails instead if that file would change. With -kernels the file needs no comparison: a
// kernel that differs from capabilities.go fails, and so does go test ./internal/kernels if the file differs from it.
//
// With -measure it runs only the tests that measure, and writes their values into the table of measured values, in the
// columns of these kernels. The guests' clocks then count instructions, so that the values can be compared.
//
// It exits with 1 if a kernel failed and with 2 if a run was impossible; neither counts as a pass. It needs Debian's
// apt, for kernels that are not in its cache, and QEMU; not root. Package kernels lists the limits of a guest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels"
)

var (
	which = flag.String("kernels", "", "comma-separated `list` of series (6.12, rc) or versions (6.12.117), with "+
		"/ARCH if it is not -arch; default: those of "+kernels.ChecksumFile)
	cache = flag.String("cache", "", "`directory` of the kernels (default "+
		"${XDG_CACHE_HOME:-~/.cache}/netzero/kernels)")
	run      = flag.String("run", "", "only tests that match the `regexp`")
	measure  = flag.Bool("measure", false, "run only the tests that measure, and write what they measured")
	verbose  = flag.Bool("v", false, "print everything that the tests write")
	archName = flag.String("arch", "amd64", "amd64 or arm64, of -kernels and -write-checksums")
	guests   = flag.Int("j", min(runtime.NumCPU(), 4), "`number` of guests that run at the same time, with one CPU each")
	check    = flag.Bool("check", isCI(os.Getenv("CI")),
		"fail if "+kernels.TableFile+" is not current, instead of writing it; default: in CI")
	accelName = flag.String("accel", "tcg", "tcg, kvm, or auto: KVM for guests of this machine's architecture, if it "+
		"works here")
	timeout = flag.Duration("timeout", 35*time.Minute, "for each guest")
	mirror  = flag.String("mirror", "", "`address` of Debian's archive, as http://HOST/debian (default: that of "+
		"the machine's apt)")
	writeSums = flag.Bool("write-checksums", false,
		"run nothing: fetch the newest kernels and write "+kernels.ChecksumFile)
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	passed, err := testKernels(ctx)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "testkernels:", err)
		os.Exit(2)
	case !passed:
		os.Exit(1)
	}
}

func testKernels(ctx context.Context) (passed bool, err error) {
	if flag.NArg() > 0 {
		return false, fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if _, err := regexp.Compile(*run); err != nil {
		return false, fmt.Errorf("read -run: %w", err)
	}
	arch, err := kernels.ParseArch(*archName)
	if err != nil {
		return false, err
	}
	accel, err := kernels.ParseAccel(*accelName)
	if err != nil {
		return false, fmt.Errorf("read -accel: %w", err)
	}
	module, err := kernels.Module(ctx)
	if err != nil {
		return false, err
	}
	sums, err := kernels.Committed()
	if err != nil {
		return false, err
	}
	if *cache == "" {
		if *cache, err = kernels.DefaultDir(); err != nil {
			return false, err
		}
	}
	dir, err := filepath.Abs(*cache)
	if err != nil {
		return false, err
	}
	notice := func(text string) { fmt.Fprintln(os.Stderr, "testkernels:", text) }
	stores := make(map[kernels.Arch]*kernels.Store)
	for _, a := range []kernels.Arch{kernels.AMD64, kernels.ARM64} {
		stores[a] = &kernels.Store{Dir: dir, Mirror: *mirror, Arch: a, Sums: sums, Notice: notice}
	}
	requested, err := split(*which, arch)
	if err != nil {
		return false, err
	}
	if *writeSums {
		return true, renew(ctx, stores, requested, arch,
			filepath.Join(module, filepath.FromSlash(kernels.ChecksumFile)))
	}
	opts := kernels.Options{Module: module, Run: *run, Kernels: requested, Timeout: *timeout, Guests: *guests,
		Accel: accel, Notice: notice}
	full := requested == nil && *run == ""
	if *measure {
		if *run != "" || accel != kernels.TCG {
			return false, errors.New("-measure goes with neither -run nor -accel: it has tests and a clock of its own")
		}
		opts.Suites, opts.Run = kernels.Measuring()
		opts.Accel = kernels.Counted
	}
	if requested == nil {
		opts.Kernels = kernels.Listed(sums)
	}
	var results []kernels.Result
	passed, err = kernels.Run(ctx, stores, opts, func(r kernels.Result) {
		results = append(results, r)
		fmt.Print(r.Text(*verbose))
		for _, name := range r.Skipped {
			fmt.Printf("     skipped on %s: %s\n", r.Name(), name)
		}
	})
	if err != nil {
		return false, err
	}
	for _, r := range results {
		if !r.Passed() {
			first, _, _ := strings.Cut(r.Faults[0], "\n")
			fmt.Fprintf(os.Stderr, "testkernels: failed: %s: %s\n", r.Name(), first)
		}
	}
	file := filepath.Join(module, filepath.FromSlash(kernels.TableFile))
	if *measure && passed && !*check {
		changed, err := kernels.KeepMeasurements(file, results)
		fmt.Print(changed)
		return err == nil, err
	}
	if !full || *measure {
		return passed, nil
	}
	if !passed {
		fmt.Fprintf(os.Stderr, "testkernels: %s stays as it is, since not all kernels passed\n", kernels.TableFile)
		return false, nil
	}
	return table(results, file)
}

// table writes the results of the kernels, or with -check reports whether the file has the same content.
func table(results []kernels.Result, file string) (current bool, err error) {
	for _, r := range results {
		if !r.AsListed() {
			fmt.Fprintf(os.Stderr, "testkernels: %s is neither checked nor written, since %s ran in place of %s of "+
				"the list: renew that with -write-checksums\n",
				kernels.TableFile, r.Name(), r.Wanted.Kernel)
			return true, nil
		}
	}
	changed, err := kernels.KeepTable(file, results, *check)
	if errors.Is(err, kernels.ErrStale) {
		fmt.Fprintln(os.Stderr, "testkernels:", err)
		return false, nil
	}
	if changed != "" {
		fmt.Fprintf(os.Stderr, "testkernels: %s has changed (-before +now): commit it\n%s", kernels.TableFile, changed)
	}
	return err == nil, err
}

// isCI follows the convention of CI systems: CI is set, and its value does not mean no.
func isCI(v string) bool { return v != "" && v != "0" && !strings.EqualFold(v, "false") }

// split splits the list of kernels; an empty one is nil.
func split(list string, arch kernels.Arch) ([]kernels.Wanted, error) {
	if list == "" {
		return nil, nil
	}
	var requested []kernels.Wanted
	for _, k := range strings.Split(list, ",") {
		w := kernels.Wanted{Arch: arch}
		name, of, given := strings.Cut(strings.TrimSpace(k), "/")
		if w.Kernel = name; name == "" {
			return nil, errors.New("read -kernels: an empty name")
		}
		if given {
			var err error
			if w.Arch, err = kernels.ParseArch(of); err != nil {
				return nil, fmt.Errorf("read -kernels: %w", err)
			}
		}
		requested = append(requested, w)
	}
	return requested, nil
}

// renew fetches the newest kernel of every series of an architecture, or of the requested ones, and writes the list.
func renew(ctx context.Context, stores map[kernels.Arch]*kernels.Store, requested []kernels.Wanted, arch kernels.Arch,
	file string) error {
	sums := stores[arch].Sums
	if requested == nil {
		for _, k := range sums.Kernels(arch) {
			requested = append(requested, kernels.Wanted{Kernel: k.Series(), Arch: arch})
		}
	}
	if len(requested) == 0 {
		return errors.New("the list is empty: name kernels with -kernels")
	}
	for _, a := range requested {
		k, err := stores[a.Arch].Renew(ctx, a.Kernel)
		if err != nil {
			return err
		}
		fmt.Println(k)
	}
	if err := os.WriteFile(file, sums.Format(), 0o644); err != nil {
		return fmt.Errorf("write checksums: %w", err)
	}
	return nil
}
