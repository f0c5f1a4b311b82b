package launch

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/netzero-dev/netzero/internal/usercache"
)

// helperTag is the build tag with which this program is the helper.
const helperTag = "netzero_helper"

// BuildHelper builds the helper for Linux on an architecture, or finds it in the cache, and returns its path.
func BuildHelper(ctx context.Context, goarch string) (string, error) {
	key, err := ownHash()
	if err != nil {
		return "", err
	}
	dir, err := usercache.Make()
	if err != nil {
		return "", err
	}
	unlock, err := lockOnce("build")
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, "helper-"+goarch+"-"+key)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := buildHelper(ctx, path, goarch); err != nil {
		return "", fmt.Errorf("build the helper: %w", err)
	}
	return path, nil
}

// ownHash identifies this program.
func ownHash() (string, error) {
	path, err := self()
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "linux" {
		path = "/proc/self/exe" // root may have built this program where this user finds no file
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:8]), nil
}

// buildHelper builds the package of this program, which the module in the current directory requires, because `go tool`
// and `go run` have just built it there.
func buildHelper(ctx context.Context, path, goarch string) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program has no build information")
	}
	partial := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.Remove(partial)
	cmd := exec.CommandContext(ctx, "go", "build", "-tags="+helperTag, "-race=false", "-cover=false", "-buildvcs=false",
		"-trimpath", "-ldflags=-s -w", "-o", partial, info.Path)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return os.Rename(partial, path)
}

// imageName is the repository of the images that are made of helpers.
const imageName = "netzero/helper"

// image returns the name of an image that consists of the helper. It makes the image if the engine lacks it.
func image(ctx context.Context, engine *client.Client, goarch string) (string, error) {
	helper, err := BuildHelper(ctx, goarch)
	if err != nil {
		return "", err
	}
	tag := strings.TrimPrefix(filepath.Base(helper), "helper-")
	name := imageName + ":" + tag
	switch _, err := engine.ImageInspect(ctx, name); {
	case err == nil:
		return name, nil
	case !errdefs.IsNotFound(err):
		return "", fmt.Errorf("find image %s: %w", name, err)
	}
	content, err := archive(helper)
	if err != nil {
		return "", err
	}
	result, err := engine.ImageImport(ctx, client.ImageImportSource{Source: content, SourceName: "-"}, name,
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/helper"]`, "LABEL dev.netzero.helper=true"}})
	if err != nil {
		return "", fmt.Errorf("make image %s: %w", name, err)
	}
	defer result.Close()
	if _, err := io.Copy(io.Discard, result); err != nil {
		return "", fmt.Errorf("make image %s: %w", name, err)
	}
	return name, nil
}

// RemoveImages removes the images that are made of helpers from the engine, and returns their names. Where no engine
// answers, there are none.
func RemoveImages(ctx context.Context) ([]string, error) {
	engine, _, err := openEngine(ctx)
	if err != nil {
		return nil, nil
	}
	defer engine.Close()
	return removeImages(ctx, engine, imageName)
}

// removeImages removes the images of a repository.
func removeImages(ctx context.Context, engine *client.Client, repository string) ([]string, error) {
	images, err := engine.ImageList(ctx, client.ImageListOptions{
		Filters: make(client.Filters).Add("reference", repository+":*"),
	})
	if err != nil {
		return nil, fmt.Errorf("find images %s: %w", repository, err)
	}
	var removed []string
	var errs []error
	for _, image := range images.Items {
		for _, name := range image.RepoTags {
			if !strings.HasPrefix(name, repository+":") {
				continue // another name of the image, which somebody else gave it
			}
			if _, err := engine.ImageRemove(ctx, name, client.ImageRemoveOptions{}); err != nil {
				errs = append(errs, fmt.Errorf("remove image %s: %w", name, err))
				continue
			}
			removed = append(removed, name)
		}
	}
	return removed, errors.Join(errs...)
}

// archive returns a file system with the helper alone.
func archive(helper string) (io.Reader, error) {
	program, err := os.ReadFile(helper)
	if err != nil {
		return nil, fmt.Errorf("read the helper: %w", err)
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	err = w.WriteHeader(&tar.Header{Name: "helper", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = w.Write(program)
	}
	return &out, errors.Join(err, w.Close())
}

// goarch returns the architecture of an engine, as Go names it.
func goarch(engineArch string) string {
	switch engineArch {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "":
		return runtime.GOARCH
	}
	return engineArch
}
