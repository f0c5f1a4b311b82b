package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Builder builds images into an engine.
type Builder struct {
	Engine Engine
	Module string // root directory of this module
	Mirror string // Debian's main archive, as http://HOST/debian; empty for that of the machine's apt
}

// Build builds an image unless it is up to date with this tree, and reports whether it did.
func (b Builder) Build(ctx context.Context, name string) (built bool, err error) {
	err = b.Engine.Check(ctx, name)
	if !errors.Is(err, ErrMissing) {
		return false, err
	}
	key, err := Key(name)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "netzero-images-")
	if err != nil {
		return false, fmt.Errorf("build image %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	archive := filepath.Join(dir, "image.tar")
	if err := b.write(ctx, name, dir, archive); err != nil {
		return false, fmt.Errorf("build image %s: %w", name, err)
	}
	// A file, not a pipe: an incomplete archive is never imported.
	in, err := os.Open(archive)
	if err != nil {
		return false, fmt.Errorf("build image %s: %w", name, err)
	}
	defer in.Close()
	replaced, err := b.Engine.id(ctx, name)
	if err != nil {
		return false, fmt.Errorf("build image %s: %w", name, err)
	}
	args := []string{"import", "--change", "LABEL " + Label + "=" + key}
	for _, change := range recipes[name].Changes {
		args = append(args, "--change", change)
	}
	load := b.Engine.command(ctx, append(args, "-", Ref(name)+":latest")...)
	load.Stdin = in
	if _, err := output(load); err != nil {
		return false, fmt.Errorf("build image %s: %w", name, err)
	}
	if replaced != "" {
		// It has lost its name. If a container still uses it, it stays.
		_, _ = output(b.Engine.command(ctx, "image", "rm", replaced))
	}
	return true, nil
}

func (b Builder) write(ctx context.Context, name, dir, archive string) (err error) {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	t := newTree(out)
	if len(recipes[name].Packages) == 0 {
		err = b.program(ctx, name, dir, t)
	} else {
		err = b.packages(ctx, recipes[name], dir, t)
	}
	return errors.Join(err, t.w.Close())
}

// program writes a tree with only a static Go program.
func (b Builder) program(ctx context.Context, name, dir string, t *tree) error {
	file := filepath.Join(dir, name)
	build := Engine{Client: "go"}.command(ctx, "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", file,
		"./internal/images/cmd/"+name)
	build.Dir = b.Module
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH, "GOWORK=off")
	if _, err := output(build); err != nil {
		return err
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return errors.Join(t.directory("tmp", 0o1777, 0), t.file(name, 0o755, program))
}

// packages writes a tree of Debian's packages.
func (b Builder) packages(ctx context.Context, r recipe, dir string, t *tree) error {
	debs, err := fetch(ctx, dir, b.Mirror, r.Packages, r.Without)
	if err != nil {
		return err
	}
	if err := errors.Join(t.layout(), t.users(r.Users)); err != nil {
		return err
	}
	for _, f := range r.Files {
		text, err := sources.ReadFile(f.Source)
		if err != nil {
			return err
		}
		if err := t.file(f.Name, 0o755, text); err != nil {
			return err
		}
	}
	for _, deb := range debs {
		if err := t.unpack(ctx, deb); err != nil {
			return err
		}
	}
	for _, l := range r.Links {
		if err := t.link(l.Name, l.To); err != nil {
			return err
		}
	}
	return nil
}
