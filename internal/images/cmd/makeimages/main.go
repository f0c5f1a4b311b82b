// Command makeimages builds the container images of this repository's tests and examples into the Docker engine.
//
//	go run ./internal/images/cmd/makeimages [-docker PROGRAM] [-mirror ADDRESS] [-timeout TIME] [-remove] [NAME...]
//
// Without names it builds all. It exits with 1 if one cannot be built or takes too long, and rejects unknown names. It
// needs a Docker engine, and Debian's apt and dpkg-deb for missing packages; not root.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/netzero-dev/netzero/internal/images"
)

var (
	docker = flag.String("docker", "docker", "`program` that is Docker's client, or stands for it")
	mirror = flag.String("mirror", "", "`address` of Debian's archive, as http://HOST/debian (default: that of the "+
		"machine's apt)")
	timeout = flag.Duration("timeout", 10*time.Minute, "for all")
	remove  = flag.Bool("remove", false, "remove the images and build none")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	err := makeImages(ctx)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "makeimages:", err)
		os.Exit(1)
	}
}

func makeImages(ctx context.Context) error {
	engine := images.Engine{Client: *docker}
	if *remove {
		return engine.Remove(ctx)
	}
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("find module: %w", err)
	}
	builder := images.Builder{
		Engine: engine,
		Module: filepath.Dir(strings.TrimSpace(string(module))),
		Mirror: strings.TrimSuffix(*mirror, "/"),
	}
	names := flag.Args()
	if len(names) == 0 {
		names = images.Names
	}
	for _, name := range names {
		start := time.Now()
		built, err := builder.Build(ctx, name)
		if err != nil {
			return err
		}
		if built {
			fmt.Printf("%s: built in %.1fs\n", images.Ref(name), time.Since(start).Seconds())
		} else {
			fmt.Printf("%s: is current\n", images.Ref(name))
		}
	}
	return nil
}
