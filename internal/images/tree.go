package images

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// tree writes an image's files as one archive, each name once. It needs no root: the headers contain the owners.
type tree struct {
	w    *tar.Writer
	seen map[string]bool
}

func newTree(w io.Writer) *tree { return &tree{w: tar.NewWriter(w), seen: make(map[string]bool)} }

// merged are the directories that Debian moved below usr: packages may still contain files there.
var merged = []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"}

// left are directories and files of packages that no container here needs.
var left = []string{
	"usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian", "usr/share/bug",
	"usr/share/perl5",
	"usr/lib/systemd", "etc/init.d", "usr/lib/postgresql/15/lib/bitcode", "usr/lib/postgresql/15/lib/llvmjit.so",
}

// place returns the path for a package's file; false if it is left out.
func place(name string) (string, bool) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	first, _, _ := strings.Cut(name, "/")
	if slices.Contains(merged, first) {
		if name == first {
			return "", false // a link, see layout
		}
		name = "usr/" + name
	}
	stays := slices.ContainsFunc(left, func(l string) bool { return name == l || strings.HasPrefix(name, l+"/") })
	return name, name != "" && !stays
}

// layout writes the common start of every image of Debian's packages.
func (t *tree) layout() error {
	for _, d := range []string{"usr", "etc", "root", "proc", "sys", "dev", "var", "run"} {
		if err := t.directory(d, 0o755, 0); err != nil {
			return err
		}
	}
	if err := t.directory("tmp", 0o1777, 0); err != nil {
		return err
	}
	for _, m := range merged {
		if err := t.directory("usr/"+m, 0o755, 0); err != nil {
			return err
		}
		if err := t.link(m, "usr/"+m); err != nil {
			return err
		}
	}
	return errors.Join(t.link("var/run", "../run"),
		t.file("etc/nsswitch.conf", 0o644, []byte("passwd: files\ngroup: files\nhosts: files dns\n")))
}

// unpack writes the content of a package.
func (t *tree) unpack(ctx context.Context, file string) error {
	cmd := Engine{Client: "dpkg-deb"}.command(ctx, "--fsys-tarfile", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("unpack %s: %w", path.Base(file), err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("unpack %s: %w", path.Base(file), err)
	}
	err = t.copy(tar.NewReader(out))
	if err == nil {
		_, err = io.Copy(io.Discard, out) // padding
	} else {
		_ = cmd.Process.Kill()
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return fmt.Errorf("unpack %s: %w", path.Base(file), err)
	}
	return nil
}

func (t *tree) copy(r *tar.Reader) error {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, ok := place(h.Name)
		if !ok || t.seen[name] {
			continue
		}
		h.Name = name
		if h.Typeflag == tar.TypeDir {
			h.Name += "/"
		}
		if h.Typeflag == tar.TypeLink { // a hard link names a file of the archive
			if h.Linkname, ok = place(h.Linkname); !ok {
				continue
			}
		}
		if err := t.header(name, h); err != nil {
			return err
		}
		if _, err := io.Copy(t.w, r); err != nil {
			return err
		}
	}
}

func (t *tree) header(name string, h *tar.Header) error {
	t.seen[name] = true
	h.Format = tar.FormatUnknown
	return t.w.WriteHeader(h)
}

// directory writes a directory, and its missing parents.
func (t *tree) directory(name string, mode int64, owner int) error {
	if name == "." || t.seen[name] {
		return nil
	}
	if err := t.directory(path.Dir(name), 0o755, 0); err != nil {
		return err
	}
	return t.header(name, &tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: mode, Uid: owner, Gid: owner})
}

func (t *tree) link(name, to string) error {
	if t.seen[name] {
		return nil
	}
	if err := t.directory(path.Dir(name), 0o755, 0); err != nil {
		return err
	}
	return t.header(name, &tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777})
}

func (t *tree) file(name string, mode int64, content []byte) error {
	if err := t.directory(path.Dir(name), 0o755, 0); err != nil {
		return err
	}
	if err := t.header(name, &tar.Header{Name: name, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := t.w.Write(content)
	return err
}

// users writes the user database, and the directories that the users own.
func (t *tree) users(all []user) error {
	passwd, group := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"root:x:0:\nnogroup:x:65534:\n"
	for _, u := range all {
		passwd += fmt.Sprintf("%s:x:%d:%d::/%s:/bin/sh\n", u.Name, u.ID, u.ID, u.Home)
		group += fmt.Sprintf("%s:x:%d:\n", u.Name, u.ID)
		for _, d := range append([]string{u.Home}, u.Owned...) {
			if err := t.directory(d, 0o755, u.ID); err != nil {
				return err
			}
		}
	}
	return errors.Join(t.file("etc/passwd", 0o644, []byte(passwd)), t.file("etc/group", 0o644, []byte(group)))
}
