package images_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// run runs Docker's client for at most a minute.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestImages_Peer(t *testing.T) {
	image := testenv.Image(t, "peer")
	for _, c := range []struct {
		reason, args string
		ok           bool
		want         []string
	}{
		{"it listens and connects", "listen :7070 udp::53 then echo 127.0.0.1:7070 udp:127.0.0.1:53", true,
			[]string{"dial tcp 127.0.0.1:7070: connected to 127.0.0.1:7070, which answered",
				"dial udp 127.0.0.1:53: connected to 127.0.0.1:53, which answered"}},
		{"a child connects, and its child", "listen :7070 then child child dial 127.0.0.1:7070", true,
			[]string{"connected to", "child: done\nchild: done"}},
		{"so does one that was started", "listen :7070 then start dial 127.0.0.1:7070 then sleep 500ms", true,
			[]string{"connected to"}},
		{"a datagram from a socket without a peer", "send hello udp:127.0.0.1:53", true,
			[]string{"sent to 127.0.0.1:53"}},
		{"a refused connection fails", "dial 127.0.0.1:1 then sleep 1ms", false, []string{"connection refused"}},
		{"unless it may", "repeat 2 try 127.0.0.1:1", true, []string{"connection refused\ndial"}},
		{"a child's failure is its parent's", "child dial 127.0.0.1:1", false, []string{"child: exit status 1"}},
		{"a name", "resolve localhost", true, []string{"resolve localhost: 127.0.0.1"}},
		{"a cgroup of its own needs more than Docker gives", "nested sleep 1ms", false,
			[]string{"mount cgroup v2 tree: operation not permitted"}},
		{"a command that there is not", "call 127.0.0.1:1", false, []string{`unknown command "call"`}},
	} {
		out, err := run(t, append([]string{"run", "--rm", "--network=none", image}, strings.Fields(c.args)...)...)
		if (err == nil) != c.ok {
			t.Errorf("%s: peer %s: %v\n%s", c.reason, c.args, err, out)
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%s: peer %s: no %q in\n%s", c.reason, c.args, want, out)
			}
		}
	}
}

// start runs a container until the test ends, and waits for a line of its log.
func start(t *testing.T, name, ready string, times int, args ...string) string {
	t.Helper()
	container := fmt.Sprintf("netzero-images-%s-%d", name, os.Getpid())
	t.Cleanup(func() {
		if out, err := exec.Command("docker", "rm", "--force", "--volumes", container).CombinedOutput(); err != nil {
			t.Errorf("remove container: %v\n%s", err, out)
		}
	})
	if out, err := run(t, append([]string{"run", "--detach", "--network=none", "--name", container},
		args...)...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var log string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if log, _ = run(t, "logs", container); strings.Count(log, ready) >= times {
			return container
		}
	}
	t.Fatalf("%s is not ready:\n%s", name, log)
	return ""
}

func TestImages_Redis(t *testing.T) {
	container := start(t, "redis", "* Ready to accept connections", 1, testenv.Image(t, "redis"))
	for _, c := range []struct{ reason, command, want string }{
		{"it is Redis", "redis-cli incr orders", "1\n"},
		{"it serves other hosts", "redis-cli config get protected-mode", "protected-mode\nno\n"},
		{"it is not root's", "stat -c %U /proc/1", "redis\n"},
	} {
		if out, err := run(t, append([]string{"exec", container}, strings.Fields(c.command)...)...); err != nil ||
			out != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.reason, out, err, c.want)
		}
	}
}

func TestImages_Nginx(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "default.conf")
	text := "server { listen 8080; location / { return 200 \"served\\n\"; } }\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	container := start(t, "nginx", "", 0, "--volume="+conf+":/etc/nginx/conf.d/default.conf:ro", testenv.Image(t, "nginx"))
	for _, c := range []struct{ reason, command, want string }{
		{"it is nginx", "nginx -v", "nginx version: nginx/"},
		{"a server in conf.d is its only one", "nginx -T", "listen 8080"},
		{"its logs are the container's", "readlink /var/log/nginx/access.log /var/log/nginx/error.log",
			"/dev/stdout\n/dev/stderr\n"},
		{"its master is the container's process", "cat /proc/1/comm", "nginx\n"},
	} {
		out, err := run(t, append([]string{"exec", container}, strings.Fields(c.command)...)...)
		if err != nil || !strings.Contains(out, c.want) || strings.Contains(out, "listen 80 ") {
			t.Errorf("%s: got %q, %v; want %q", c.reason, out, err, c.want)
		}
	}
}

func TestImages_Kcat(t *testing.T) {
	out, err := run(t, "run", "--rm", "--network=none", testenv.Image(t, "kcat"), "-V")
	if err != nil || !strings.Contains(out, "librdkafka") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestImages_Postgres(t *testing.T) {
	image := testenv.Image(t, "postgres")
	// testcontainers' module waits for the second time: the first server sets up the database.
	scripts := t.TempDir()
	if err := os.WriteFile(filepath.Join(scripts, "1.sql"), []byte("CREATE TABLE prepared AS SELECT 42 AS answer"),
		0o644); err != nil {
		t.Fatal(err)
	}
	container := start(t, "postgres", "database system is ready to accept connections", 2,
		"--volume="+scripts+":/docker-entrypoint-initdb.d:ro", "--env=POSTGRES_USER=clerk",
		"--env=POSTGRES_PASSWORD=secret's", "--env=POSTGRES_DB=shop", image, "postgres", "-c", "fsync=off")
	psql := func(query string, env ...string) (string, error) {
		args := append([]string{"exec"}, env...)
		return run(t, append(args, container, "psql", "-h", "127.0.0.1", "-U", "clerk", "-d", "shop", "-tAc", query)...)
	}
	for _, c := range []struct{ reason, query, want string }{
		{"it is PostgreSQL 15", "SHOW server_version_num", "15"},
		{"the settings of the command apply", "SHOW fsync", "off"},
		{"its scripts have run", "SELECT answer FROM prepared", "42"},
		{"everybody can connect", "SHOW listen_addresses", "*"},
	} {
		// pg_hba.conf treats 127.0.0.1 like any other host.
		if out, err := psql(c.query, "--env=PGPASSWORD=secret's"); err != nil || !strings.HasPrefix(out, c.want) {
			t.Errorf("%s: got %q, %v; want %q", c.reason, out, err, c.want)
		}
	}
	if out, err := psql("SELECT 1", "--env=PGPASSWORD=wrong"); err == nil ||
		!strings.Contains(out, "password authentication failed") {
		t.Errorf("a wrong password: %v\n%s", err, out)
	}
	if out, err := run(t, "run", "--rm", "--network=none", image); err == nil ||
		!strings.Contains(out, "set POSTGRES_PASSWORD") {
		t.Errorf("no password: %v\n%s", err, out)
	}
}
