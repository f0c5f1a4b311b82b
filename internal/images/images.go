// Package images builds the container images of this repository's tests and examples, without a registry: from Debian's
// packages, and from static Go programs.
//
// It is for this repository only. `make images` runs it, and testenv.Image returns an image's name to a test. A label
// of each image contains the key of everything in it, so that unchanged images are not built again. A build ends with
// its context, and the package removes only images with its own names. Limits: the images have the machine's
// architecture; the key does not change with newer packages of Debian, or newer modules in go.mod (`make images-clean
// images` rebuilds).
package images

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Label is the image's label with its key.
const Label = "dev.netzero.images.key"

// ErrMissing is returned for an image that does not exist, or is not up to date with this tree.
var ErrMissing = errors.New("run `make images`")

// Names are all images, in the order of their builds.
var Names = []string{"peer", "sshd", "redis", "postgres", "nginx", "kcat"}

// Ref returns an image's name for Docker.
func Ref(name string) string { return "netzero/" + name }

// sources are the images' contents in addition to packages.
//
//go:embed cmd/peer/*.go cmd/sshd/*.go files/*.sh
var sources embed.FS

// Key returns a hash of the contents of an image: another key means another image.
func Key(name string) (string, error) {
	if !slices.Contains(Names, name) {
		return "", fmt.Errorf("find image %q: there are %s", name, strings.Join(Names, ", "))
	}
	hash := sha256.New()
	// The number is the version of the trees' format; increase it with every change of that format.
	fmt.Fprintf(hash, "1 %s %s %+v\n", name, runtime.GOARCH, recipes[name])
	err := fs.WalkDir(sources, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !has(name, path) {
			return err
		}
		text, err := sources.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read sources of image %s: %w", name, err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// Engine is a Docker engine, by the client's command.
type Engine struct {
	Client string // "docker", or what stands for it
}

// callLimit is the time limit of a call that does no long work.
const callLimit = 30 * time.Second

// Check reports whether an image exists and is up to date with this tree. Errors: [ErrMissing].
func (e Engine) Check(ctx context.Context, name string) error {
	key, err := Key(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	out, err := output(e.command(ctx, "image", "ls", "--quiet", "--filter", "label="+Label+"="+key,
		Ref(name)+":latest"))
	if err != nil {
		return fmt.Errorf("inspect image %s: %w", Ref(name), err)
	}
	if strings.TrimSpace(out) == "" {
		return fmt.Errorf("image %s is not built from this tree: %w", Ref(name), ErrMissing)
	}
	return nil
}

// Remove removes all images with the names above, and no others. One in use stays, and is an error.
func (e Engine) Remove(ctx context.Context) error {
	var errs []error
	for _, name := range Names {
		id, err := e.id(ctx, name)
		if err == nil && id != "" {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			_, err = output(e.command(ctx, "image", "rm", Ref(name)+":latest"))
			cancel()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("remove image %s: %w", Ref(name), err))
		}
	}
	return errors.Join(errs...)
}

// id returns the ID of the image that has a name now, or nothing.
func (e Engine) id(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	out, err := output(e.command(ctx, "image", "ls", "--quiet", "--no-trunc", Ref(name)+":latest"))
	return strings.TrimSpace(out), err
}

func (e Engine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.Client, args...)
	cmd.WaitDelay = time.Second // a child of a killed client may keep its output open
	return cmd
}

// output runs a command and returns its output. Its error contains the command's stderr, and reports a time-out.
func output(cmd *exec.Cmd) (string, error) {
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args[:min(3, len(cmd.Args))], " "), err,
			strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
