package kernels

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Store is a directory of kernels, outside of the repository.
type Store struct {
	Dir    string // see DefaultDir
	Mirror string // Debian's main archive; empty: the machine's own
	Arch   Arch
	Sums   Checksums
	Notice func(string) // receives warnings for a person

	mu      sync.Mutex // guards apt
	archive *archive   // after the first query
	openErr error      // of the only attempt to open it
}

// DefaultDir returns the default directory for kernels: ${XDG_CACHE_HOME:-~/.cache}/netzero/kernels.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w", err)
	}
	return filepath.Join(dir, "netzero", "kernels"), nil
}

// Image is a bootable kernel.
type Image struct {
	Kernel
	Path string
}

// Get returns the requested kernel, as 6.12 or 6.12.117: the committed one, if there is one. Otherwise, or if Debian no
// longer has that, it returns the newest. It fetches only kernels that are not in the directory. Errors: [ErrNoKernel],
// [debian.ErrNoMirror], [ErrChecksum].
func (s *Store) Get(ctx context.Context, requested string) (Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed, err := newest(s.Sums.Kernels(s.Arch), requested)
	isListed := err == nil
	if isListed {
		image, err := s.cached(listed)
		if !errors.Is(err, fs.ErrNotExist) {
			return image, err
		}
	}
	if err := s.open(ctx); err != nil {
		return Image{}, err
	}
	k, err := newest(s.archive.kernels, requested)
	if requested == Candidates && errors.Is(err, ErrNoKernel) {
		// Debian drops a candidate after the release, which then is the newest kernel.
		k, err = newest(s.archive.kernels, "")
	}
	if err != nil {
		return Image{}, errors.Join(err, s.archive.unreached)
	}
	switch {
	case isListed && slices.Contains(s.archive.kernels, listed):
		k = listed
	case isListed:
		s.Notice(fmt.Sprintf("%s: Debian no longer has %v of %s; taking %v, which only apt's signature check "+
			"verifies",
			requested, listed, ChecksumFile, k))
	default:
		s.Notice(fmt.Sprintf("%s: %v is not in %s; only apt's signature check verifies it", requested, k,
			ChecksumFile))
	}
	image, err := s.cached(k)
	if errors.Is(err, fs.ErrNotExist) {
		image, _, err = s.fetch(ctx, k)
	}
	return image, err
}

// Renew fetches the newest requested kernel, and adds it to the list in memory.
func (s *Store) Renew(ctx context.Context, requested string) (Kernel, error) {
	if err := s.open(ctx); err != nil {
		return Kernel{}, err
	}
	k, err := newest(s.archive.kernels, requested)
	if err != nil {
		return Kernel{}, errors.Join(err, s.archive.unreached)
	}
	delete(s.Sums, k) // apt's signature check replaces the committed checksum
	_, sum, err := s.fetch(ctx, k)
	if err != nil {
		return Kernel{}, err
	}
	s.Sums.Set(k, s.Arch, sum)
	return k, nil
}

func (s *Store) open(ctx context.Context) error {
	if s.archive == nil && s.openErr == nil {
		s.openErr = s.tryToOpen(ctx)
	}
	return s.openErr
}

func (s *Store) tryToOpen(ctx context.Context) error {
	unlock, err := lock(s.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	s.archive, err = openArchive(ctx, filepath.Join(s.Dir, "apt-"+string(s.Arch)), s.Mirror, s.Arch)
	return err
}

// dirOf returns a kernel's directory in the store. It contains the kernel and, in a file "from", the sha256 of the
// package and of the kernel.
func (s *Store) dirOf(k Kernel) string {
	return filepath.Join(s.Dir, k.Package+"_"+strings.ReplaceAll(k.Version, ":", "%3a"))
}

// cached returns a kernel of the directory; fs.ErrNotExist if it is missing or incomplete.
func (s *Store) cached(k Kernel) (Image, error) {
	text, err := os.ReadFile(filepath.Join(s.dirOf(k), "from"))
	if err != nil {
		return Image{}, fmt.Errorf("read cached kernel: %w", err)
	}
	image := Image{Kernel: k, Path: filepath.Join(s.dirOf(k), "vmlinuz")}
	sum, err := sumFile(image.Path)
	if err != nil {
		return Image{}, err
	}
	from := strings.Fields(string(text))
	if len(from) != 2 || from[1] != sum {
		return Image{}, fmt.Errorf("read cached kernel %v: it was changed: %w", k, fs.ErrNotExist)
	}
	return image, s.Sums.check(k, from[0])
}

// fetch downloads, checks and unpacks a kernel.
func (s *Store) fetch(ctx context.Context, k Kernel) (_ Image, sum string, err error) {
	unlock, err := lock(s.Dir)
	if err != nil {
		return Image{}, "", err
	}
	defer unlock()
	work, err := os.MkdirTemp(s.Dir, "fetch-")
	if err != nil {
		return Image{}, "", fmt.Errorf("fetch kernel: %w", err)
	}
	defer os.RemoveAll(work)
	debs, err := s.archive.apt.Download(ctx, work, k.String())
	if err != nil {
		return Image{}, "", err
	}
	if sum, err = sumFile(debs[0]); err != nil {
		return Image{}, "", err
	}
	if err := s.Sums.check(k, sum); err != nil {
		return Image{}, "", err
	}
	tree := filepath.Join(work, "tree")
	if _, err := output(exec.CommandContext(ctx, "dpkg", "-x", debs[0], tree)); err != nil {
		return Image{}, "", fmt.Errorf("unpack %v: %w", k, err)
	}
	made := filepath.Join(work, "made")
	if err := keep(tree, made, sum, k.Release()); err != nil {
		return Image{}, "", fmt.Errorf("unpack %v: %w", k, err)
	}
	if err := os.RemoveAll(s.dirOf(k)); err != nil {
		return Image{}, "", fmt.Errorf("store kernel: %w", err)
	}
	if err := os.Rename(made, s.dirOf(k)); err != nil {
		return Image{}, "", fmt.Errorf("store kernel: %w", err)
	}
	return Image{Kernel: k, Path: filepath.Join(s.dirOf(k), "vmlinuz")}, sum, nil
}

// keep makes a directory of the store from an unpacked package.
func keep(tree, dir, sum, release string) error {
	var image []byte
	for _, path := range []string{
		"boot/vmlinuz-" + release,
		"usr/lib/modules/" + release + "/vmlinuz", // from 7.2 on
	} {
		text, err := os.ReadFile(filepath.Join(tree, path))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		image = text
	}
	if image == nil {
		return fmt.Errorf("no kernel of release %s is in it", release)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	kernel := filepath.Join(dir, "vmlinuz")
	if err := os.WriteFile(kernel, image, 0o644); err != nil {
		return err
	}
	kernelSum, err := sumFile(kernel)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "from"), fmt.Appendf(nil, "%s %s\n", sum, kernelSum), 0o644)
}
