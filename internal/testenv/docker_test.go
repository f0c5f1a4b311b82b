package testenv

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// client writes a script in place of Docker's client.
func client(t *testing.T, script string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "docker")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTryDocker_TimeLimit(t *testing.T) {
	for _, c := range []struct {
		reason, client, want string
	}{
		{"an engine that answers and starts", client(t, "echo 20.10"), ""},
		{"there is no client", "netzero-no-such-docker", "there is no docker command"},
		{"the engine hangs", client(t, "exec sleep 60"), "does not answer: docker version: nothing came within"},
		{"the client's child holds its output", client(t, "sleep 60 & wait"),
			"does not answer: docker version: nothing came within"},
		{"there is no engine", client(t, "echo no such socket >&2; exit 1"),
			"does not answer: docker version: exit status 1: no such socket"},
		{"the engine answers, but hangs on a start",
			client(t, `case $1 in run) exec sleep 60 ;; *) echo netzero/peer ;; esac`),
			"starts no container: docker run: nothing came within"},
		{"the engine refuses a start", client(t,
			`case $1 in run) echo no bridge; exit 125 ;; *) echo netzero/peer ;; esac`),
			"starts no container: docker run: exit status 125: no bridge"},
	} {
		begin := time.Now()
		err := tryDocker(c.client, 300*time.Millisecond, 300*time.Millisecond)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("%s: it took %v", c.reason, took)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.reason, err, c.want)
		}
	}
}

func TestRequireDocker_HangingEngineOnce(t *testing.T) {
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("there is no docker command")
	}
	if docker() != nil {
		t.Log("no engine answers here")
	}
	// The real client, with an engine that accepts and does not answer.
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	t.Setenv("DOCKER_HOST", "unix://"+socket)
	begin := time.Now()
	if err := tryDocker("docker", time.Second, time.Second); err == nil ||
		!strings.Contains(err.Error(), "nothing came within 1s") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	begin = time.Now()
	_ = docker() // cached: it does not query this engine
	if took := time.Since(begin); took > 100*time.Millisecond {
		t.Errorf("the second answer took %v", took)
	}
}
