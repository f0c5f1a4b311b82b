package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/images"
)

// An engine that does not answer costs a test process less than a minute, once.
const (
	answerLimit = 15 * time.Second
	startLimit  = 30 * time.Second
)

// RequireDocker skips the test unless a Docker engine answers and starts a container of the image peer, if that is
// built. It tries once per process.
func RequireDocker(tb testing.TB) {
	tb.Helper()
	if err := docker(); err != nil {
		skip(tb, Required(), "this test needs Docker: "+err.Error())
	}
}

// Image returns the name of an image of package images, such as peer, postgres or redis. It skips the test unless
// [RequireDocker] succeeds and the image is up to date with this tree.
func Image(tb testing.TB, name string) string {
	tb.Helper()
	RequireDocker(tb)
	if err := (images.Engine{Client: "docker"}).Check(tb.Context(), name); err != nil {
		skip(tb, Required(), "this test needs an image: "+err.Error())
	}
	return images.Ref(name)
}

var docker = sync.OnceValue(func() error { return tryDocker("docker", answerLimit, startLimit) })

// tryDocker reports whether an engine answers and starts containers, each within a time limit.
func tryDocker(client string, answer, start time.Duration) error {
	if _, err := exec.LookPath(client); err != nil {
		return errors.New("there is no docker command: apt-get install docker.io")
	}
	if err := call(client, answer, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("the engine does not answer: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), answer)
	defer cancel()
	if (images.Engine{Client: client}).Check(ctx, "peer") != nil {
		return nil // no known image to run; Image says what to do
	}
	name := fmt.Sprintf("netzero-test-alive-%d", os.Getpid())
	if err := call(client, start, "run", "--rm", "--network=none", "--name="+name, images.Ref("peer"), "sleep",
		"0s"); err != nil {
		// Best effort, and not for long: the engine has just shown its state.
		_ = call(client, answer/3, "rm", "--force", name)
		return fmt.Errorf("the engine answers, but starts no container: %w", err)
	}
	return nil
}

// call runs the client with a time limit.
func call(client string, limit time.Duration, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, client, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("docker %s: nothing came within %v", args[0], limit)
	}
	if err != nil {
		return fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ExampleImage returns the image for make test-examples: [Image], or the public one, which the engine pulls, if
// NETZERO_EXAMPLES_IMAGES=public is set.
func ExampleImage(tb testing.TB, name, public string) string {
	tb.Helper()
	if os.Getenv("NETZERO_EXAMPLES_IMAGES") == "public" {
		RequireDocker(tb)
		return public
	}
	return Image(tb, name)
}
