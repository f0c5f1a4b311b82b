package docker

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	machine "github.com/netzero-dev/netzero/internal/endpoint"
)

func TestWatch_NoEngine(t *testing.T) {
	host := "unix://" + filepath.Join(t.TempDir(), "none")
	_, err := Watch(t.Context(), Config{Host: host})
	if !errors.Is(err, ErrNoEngine) {
		t.Fatalf("error is %v", err)
	}
	for _, want := range []string{host, "DOCKER_HOST", "start it"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// hostVariable makes the test binary print where it finds the engine.
const hostVariable = "NETZERO_TEST_DOCKER_SAY"

func TestEngine_SameAsTestcontainers(t *testing.T) {
	if os.Getenv(hostVariable) != "" {
		defer watchSockets(t, strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://"))()
		w, err := Watch(t.Context(), Config{})
		check(t, err)
		fmt.Println("host is " + w.Engine().Host)
		check(t, w.Close())
		return
	}
	l := newLine(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), hostVariable+"=1", "DOCKER_HOST="+l.host)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "host is "+l.host) {
		t.Errorf("%v\n%s", err, out)
	}
}

// watchSockets checks, until stop is called, that all of this process's connections to an engine have the name of a
// watcher's.
func watchSockets(t *testing.T, engine string) (stop func()) {
	ended, done := make(chan bool), make(chan bool)
	seen := false
	go func() {
		defer close(done)
		unknown := make(map[uint64]bool) // from the previous check
		for {
			select {
			case <-ended:
				return
			default:
			}
			searching := IsSearching()
			clients, err := machine.Clients(func(path string) bool { return path == engine })
			if err != nil {
				t.Error(err)
				return
			}
			now := make(map[uint64]bool)
			for _, c := range clients {
				if c.PID != os.Getpid() {
					continue
				}
				seen = true
				now[c.Inode] = !searching && !IsSearching() && !IsWatcher(c.Name)
				if now[c.Inode] && unknown[c.Inode] {
					t.Errorf("socket %d is not known", c.Inode)
				}
			}
			unknown = now
		}
	}()
	return func() {
		close(ended)
		if <-done; !seen {
			t.Error("no connection was seen")
		}
	}
}

func TestEngine_NotSupported(t *testing.T) {
	for _, c := range []struct {
		reason string
		answer func(*http.Response) error
		want   string
	}{
		{"Podman", replace("/version", `"Name":"Engine"`, `"Name":"Podman Engine"`), "Podman Engine"},
		{"an old Docker", func(r *http.Response) error { r.Header.Set("Api-Version", "1.40"); return nil }, "1.40"},
		{"containers of Windows", replace("/info", `"OSType":"linux"`, `"OSType":"windows"`), "windows containers"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := Watch(t.Context(), Config{Host: standIn(t, nil, c.answer)})
			var unsupported *UnsupportedError
			if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), c.want) || unsupported.Needs == "" {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestEngine_Rootless(t *testing.T) {
	root := newRig(t).w
	if root.Engine().Rootless || !strings.Contains(root.Kind(), "Docker "+root.Engine().Version) {
		t.Errorf("engine is %q", root.Kind())
	}
	host := standIn(t, nil, replace("/info", `"SecurityOptions":[`, `"SecurityOptions":["name=rootless",`))
	if r := newRigAt(t, Config{Host: host}); !r.w.Engine().Rootless || !strings.Contains(r.w.Kind(), "rootless") {
		t.Errorf("engine is %q", r.w.Kind())
	}
}

// replace changes a text in the engine's answer to a query.
func replace(question, was, is string) func(*http.Response) error {
	return func(r *http.Response) error {
		if !strings.HasSuffix(r.Request.URL.Path, question) {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(body), was) {
			return errors.Join(err, fmt.Errorf("%s answers without %s: %s", question, was, body))
		}
		text := strings.Replace(string(body), was, is, 1)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		r.Header.Del("Content-Length")
		return nil
	}
}
