// Command testkernels runs this module's kernel tests on real Debian kernels under QEMU, and prints a line for each.
//
//	go run ./internal/kernels/cmd/testkernels [-kernels 5.10,6.1,...] [-run REGEXP] [-v]
//
// It exits with 1 where a kernel failed and with 2 where a run was impossible, and refuses to call either a pass. It
// needs Debian's apt, for kernels that are not in its cache, and QEMU; not root. Package kernels says what a guest cannot do.
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
	"strings"
	"syscall"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels"
)

var (
	which     = flag.String("kernels", "", "comma-separated `list` of series (6.12) or versions (6.12.117); default: those of "+kernels.ChecksumFile)
	cache     = flag.String("cache", "", "`directory` of the kernels (default ${XDG_CACHE_HOME:-~/.cache}/netzero/kernels)")
	run       = flag.String("run", "", "only tests that match the `regexp`")
	verbose   = flag.Bool("v", false, "print everything that the tests write")
	archName  = flag.String("arch", "amd64", "amd64 or arm64")
	guests    = flag.Int("j", 1, "guests at the same `time`, each of which takes one CPU")
	timeout   = flag.Duration("timeout", 5*time.Minute, "for each guest")
	mirror    = flag.String("mirror", "", "`address` of Debian's archive, as http://HOST/debian (default: that of the machine's apt)")
	writeSums = flag.Bool("write-checksums", false, "run nothing: fetch the newest kernels and write "+kernels.ChecksumFile)
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
	store := &kernels.Store{Dir: dir, Mirror: *mirror, Arch: arch, Sums: sums,
		Notice: func(text string) { fmt.Fprintln(os.Stderr, "testkernels:", text) }}
	asked, err := split(*which)
	if err != nil {
		return false, err
	}
	if *writeSums {
		return true, renew(ctx, store, asked, filepath.Join(module, filepath.FromSlash(kernels.ChecksumFile)))
	}
	opts := kernels.Options{Module: module, Run: *run, Kernels: asked, Timeout: *timeout, Guests: *guests}
	return kernels.Run(ctx, store, opts, func(r kernels.Result) {
		fmt.Print(r.Text(*verbose))
		for _, name := range r.Skipped {
			fmt.Printf("     skipped on %s: %s\n", r.Kernel.Upstream(), name)
		}
	})
}

// split takes the list of kernels apart; an empty one is nil.
func split(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var asked []string
	for _, k := range strings.Split(list, ",") {
		if k = strings.TrimSpace(k); k == "" {
			return nil, errors.New("read -kernels: an empty name")
		}
		asked = append(asked, k)
	}
	return asked, nil
}

// renew fetches the newest kernel of every series and writes the list.
func renew(ctx context.Context, store *kernels.Store, asked []string, file string) error {
	if asked == nil {
		for _, k := range store.Sums.Kernels(store.Arch) {
			asked = append(asked, k.Series())
		}
	}
	if len(asked) == 0 {
		return errors.New("the list is empty: name kernels with -kernels")
	}
	for _, a := range asked {
		k, err := store.Renew(ctx, a)
		if err != nil {
			return err
		}
		fmt.Println(k)
	}
	if err := os.WriteFile(file, store.Sums.Format(), 0o644); err != nil {
		return fmt.Errorf("write checksums: %w", err)
	}
	return nil
}
