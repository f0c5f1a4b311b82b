package launch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMounts_OutputsOfFlags(t *testing.T) {
	dir := t.TempDir()
	for _, row := range []struct {
		reason string
		args   []string
		want   []string
	}{
		{"a file's directory", []string{"-test.testlogfile=/build/log.txt"}, []string{"/build"}},
		{"a directory itself", []string{"-test.gocoverdir=" + dir}, []string{dir}},
		{"two dashes", []string{"--test.cpuprofile=/p/cpu"}, []string{"/p"}},
		{"the value is the next argument", []string{"-test.coverprofile", "/c/out"}, []string{"/c"}},
		{"a relative path", []string{"-test.coverprofile=../c.out"}, []string{"/"}},
		{"a pattern is no path", []string{"-test.run=/sub", "-test.v=true"}, nil},
		{"an argument of the test", []string{"-coverprofile=/x/y", "test.trace=/x/y"}, nil},
		{"no value", []string{"-test.trace="}, nil},
	} {
		if got := outputs(row.args, "/module"); !slices.Equal(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.reason, got, row.want)
		}
	}
}

func TestMounts_NoneTwice(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"module/package", "cache", "real/tmp", "usr/share", "modules"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "real"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(root, name) }
	var b binds
	b.require(in("module/package"))
	b.require(in("module"))
	b.require(in("modules")) // starts like module
	b.require(in("link/tmp"))
	b.offer(in("cache"))
	b.require(in("cache"))
	b.offer(in("absent"))
	b.offerReadOnly(in("usr"))
	b.offer(in("usr/share"))
	b.require("/proc/self/fd")
	b.require("/dev/null")
	got, err := b.mounts()
	if err != nil {
		t.Fatal(err)
	}
	want := []bind{
		{source: in("cache"), target: in("cache")},
		{source: in("real/tmp"), target: in("link/tmp")},
		{source: in("module"), target: in("module")},
		{source: in("modules"), target: in("modules")},
		{source: in("real/tmp"), target: in("real/tmp")},
		{source: in("usr"), target: in("usr"), readOnly: true, optional: true},
		{source: in("usr/share"), target: in("usr/share"), optional: true}, // writable
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(bind{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	b.require("/")
	if _, err := b.mounts(); err == nil {
		t.Error("/ cannot be mounted, and nothing says so")
	}
}

func TestMounts_WorkspaceAndReplacements(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"work/go.work": "go 1.24\nuse ./a\nuse ../b\nreplace example.test/c => ../c\n",
		"work/a/go.mod": "module example.test/a\nreplace example.test/d => ../../d\n" +
			"replace example.test/e => example.test/f v1.0.0\n",
		"b/go.mod": "module example.test/b\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := modules(t.Context(), map[string]string{
		"GOMOD": filepath.Join(root, "work/a/go.mod"), "GOWORK": filepath.Join(root, "work/go.work"),
	})
	slices.Sort(got)
	var want []string
	for _, dir := range []string{"b", "c", "d", "work", "work/a"} {
		want = append(want, filepath.Join(root, dir))
	}
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMounts_EnvironmentWithoutSockets(t *testing.T) {
	got := mountedEnviron([]string{
		"A=1", "DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CONTEXT=x", "SSH_AUTH_SOCK=/x", "TESTCONTAINERS_RYUK_DISABLED=true",
	})
	want := []string{"A=1", "TESTCONTAINERS_RYUK_DISABLED=true", "DOCKER_HOST=unix:///var/run/docker.sock"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMounts_RefusedByEngine(t *testing.T) {
	mounts := []bind{{source: "/src/a"}, {source: "/src/a/x"}, {source: "/usr"}}
	for _, row := range []struct{ text, want string }{
		{`invalid mount config for type "bind": bind source path does not exist: /src/a/x`, "/src/a/x"},
		{"Mounts denied: The path /src/a is not shared from the host", "/src/a"},
		{"exec /usr/bin/x: permission denied", ""},
		{"bind source path does not exist: /srv", ""},
	} {
		got, ok := refused(errors.New(row.text), mounts)
		if got.source != row.want || ok != (row.want != "") {
			t.Errorf("%s: got %q", row.text, got.source)
		}
	}
}
