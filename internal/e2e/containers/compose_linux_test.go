package containers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest"
)

// stack is a project of docker-compose that ends with the test.
type stack struct {
	t             *testing.T
	project, file string
}

func newStack(t *testing.T, file string) stack {
	t.Helper()
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	s := stack{t, fmt.Sprintf("netzero-test-%s-%d", name, os.Getpid()), file}
	t.Cleanup(func() { s.compose("down", "--timeout", "0") })
	s.compose("up", "--detach")
	return s
}

// compose runs docker-compose in a child process. It is slow, so queries go through Docker's client.
func (s stack) compose(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	args = append([]string{"--project-name", s.project, "--file", s.file}, args...)
	cmd := exec.CommandContext(ctx, "docker-compose", args...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("docker-compose %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// container returns the ID of a service's container.
func (s stack) container(service string) string {
	s.t.Helper()
	const of = "label=com.docker.compose."
	return docker(s.t, "ps", "--all", "--quiet", "--filter", of+"project="+s.project, "--filter", of+"service="+service)
}

// exited waits for the end of a service.
func (s stack) exited(service string) {
	s.t.Helper()
	if code := docker(s.t, "wait", s.container(service)); code != "0" {
		s.t.Errorf("%s exits with %s", service, code)
	}
}

// get repeats a query until its answer is good.
func get(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("get %s: %+v, %v", url, response, err)
		}
	}
}

// The test starts a docker-compose stack without passing the recording to it. The stack is recorded even if the test
// does not call it.
func TestOwners_ComposeStack(t *testing.T) {
	require(t)
	testenv.RequireCommand(t, "docker-compose", "docker-compose")
	rec := record(t, netzerotest.Workload("checkout"))
	newStack(t, "testdata/uncalled.yaml").exited("uncalled-client")
	shop := newStack(t, "testdata/compose.yaml")
	get(t, "http://"+docker(t, "port", shop.container("front"), "8080/tcp")+"/dial?to=orders:8081")
	shop.exited("report")
	rec.Flows() // an unpassed container must live until the engine was queried
}
