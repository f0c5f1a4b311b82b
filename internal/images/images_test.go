package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKey_StableAndDistinct(t *testing.T) {
	of := make(map[string]string)
	for _, name := range Names {
		first, err := Key(name)
		if err != nil {
			t.Fatal(err)
		}
		if second, _ := Key(name); second != first {
			t.Errorf("%s: %s, then %s", name, first, second)
		}
		if other, taken := of[first]; taken {
			t.Errorf("%s and %s have the key %s", name, other, first)
		}
		of[first] = name
	}
	if _, err := Key("mysql"); err == nil {
		t.Error("a name that is none has a key")
	}
}

func TestRecipes_FilesExist(t *testing.T) {
	for _, name := range Names {
		for _, f := range recipes[name].Files {
			if _, err := sources.ReadFile(f.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, name := range []string{"peer", "sshd"} {
		if !has(name, "cmd/"+name+"/main.go") || has(name, "files/redis.sh") || has("redis", "cmd/"+name+"/main.go") {
			t.Errorf("the key of %s is not that of its program", name)
		}
	}
	if has("peer", "cmd/sshd/main.go") {
		t.Error("the key of one program is that of another")
	}
}

func TestParsePlan_Apt(t *testing.T) {
	plan := "Reading package lists...\nThe following NEW packages will be installed:\n  dash libc6\n" +
		"Inst libc6 (2.36-9+deb12u14 Debian:12.15/oldstable [amd64])\nInst dash (0.5.12-2 Debian:12.15/oldstable " +
		"[amd64])\nConf dash (0.5.12-2 Debian)\n"
	if diff := cmp.Diff([]string{"dash=0.5.12-2", "libc6=2.36-9+deb12u14"}, parsePlan(plan)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPlace_BelowUsr(t *testing.T) {
	for _, c := range []struct {
		reason, name, want string
		in                 bool
	}{
		{"a program of before the merge", "./bin/dash", "usr/bin/dash", true},
		{"the loader", "./lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2", true},
		{"what is below usr stays", "./usr/bin/env", "usr/bin/env", true},
		{"the directory itself is a link", "./bin/", "", false},
		{"the root", "./", "", false},
		{"manuals", "./usr/share/man/man1/env.1.gz", "", false},
		{"no more than that", "./usr/share/manuals", "usr/share/manuals", true},
		{"nothing goes above the root", "../../etc/passwd", "etc/passwd", true},
	} {
		if got, in := place(c.name); in != c.in || in && got != c.want {
			t.Errorf("%s: %s goes to %q, %v", c.reason, c.name, got, in)
		}
	}
}

func TestTree_UniqueNamesParentsFirst(t *testing.T) {
	var archive bytes.Buffer
	tree := newTree(&archive)
	err := errors.Join(tree.layout(), tree.users([]user{{Name: "redis", ID: 999, Home: "data"}}),
		tree.file("a/b/c", 0o644, []byte("text")), tree.link("a/b/c", "d"), tree.w.Close())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{".": true}
	for r := tar.NewReader(&archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		if above := filepath.ToSlash(filepath.Dir(name)); !seen[above] {
			t.Errorf("%s comes before %s", name, above)
		}
		if name == "data" && h.Uid != 999 {
			t.Errorf("data belongs to %d", h.Uid)
		}
		seen[name] = true
	}
	for _, name := range []string{"bin", "usr/lib64", "etc/passwd", "var/run", "a/b/c"} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestCheck_OtherTreeIsMissing(t *testing.T) {
	key, err := Key("peer")
	if err != nil {
		t.Fatal(err)
	}
	// A client that, like an engine, knows only an image with this label.
	client := filepath.Join(t.TempDir(), "docker")
	script := "#!/bin/sh\ncase \"$*\" in *label=" + Label + "=$KEY*) echo netzero/peer sha256:1 ;; esac\n"
	if err := os.WriteFile(client, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	engine := Engine{Client: client}
	t.Setenv("KEY", key)
	if err := engine.Check(context.Background(), "peer"); err != nil {
		t.Errorf("the image of this tree: %v", err)
	}
	t.Setenv("KEY", "0123456789abcdef")
	if err := engine.Check(context.Background(), "peer"); !errors.Is(err, ErrMissing) {
		t.Errorf("the image of another tree: %v, want ErrMissing", err)
	}
}

func TestRemove_OwnNamesOnly(t *testing.T) {
	dir := t.TempDir()
	client, log := filepath.Join(dir, "docker"), filepath.Join(dir, "log")
	// An engine that has all images but redis.
	script := "#!/bin/sh\ncase \"$2 $*\" in *redis*) ;; ls*) echo sha256:1 ;; *) echo \"$@\" >>" + log + " ;; esac\n"
	if err := os.WriteFile(client, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (Engine{Client: client}).Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	want := "image rm netzero/peer:latest\nimage rm netzero/sshd:latest\nimage rm netzero/postgres:latest\n" +
		"image rm netzero/nginx:latest\nimage rm netzero/kcat:latest\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
