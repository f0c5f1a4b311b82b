package setup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestInstall_OnceAndAgain(t *testing.T) {
	p := newPlace(t)
	account := testenv.User(t)
	u := lookup(t, account)
	want := `added system group GROUP (gid N)
installed LIBEXEC/netzero/netzero-helper (root:GROUP 0750) with ` + names(needed()) + `
added USER to group GROUP; it counts from the next login on, or at once in a shell of: newgrp GROUP
checked: USER may record by LIBEXEC/netzero/netzero-helper
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "USER", u.Username), p.install(t, u)); diff != "" {
		t.Errorf("the first setup said (-want +got):\n%s", diff)
	}
	gid, err := p.findGroup()
	if err != nil {
		t.Fatal(err)
	}
	var first unix.Stat_t
	if err := unix.Stat(p.Helper, &first); err != nil {
		t.Fatal(err)
	}
	if first.Mode != unix.S_IFREG|0o750 || first.Uid != 0 || int(first.Gid) != gid {
		t.Errorf("the helper has mode %#o, uid %d, gid %d", first.Mode, first.Uid, first.Gid)
	}
	if out, err := testenv.User(t).Command(t, nil, p.Helper, "check").CombinedOutput(); !errors.Is(err, unix.EACCES) {
		t.Errorf("a user who is not in the group runs the helper: %v\n%s", err, out)
	}

	want = `group GROUP exists (gid N)
LIBEXEC/netzero/netzero-helper is up to date
USER is a member of group GROUP
checked: USER may record by LIBEXEC/netzero/netzero-helper
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "USER", u.Username), p.install(t, u)); diff != "" {
		t.Errorf("the second setup said (-want +got):\n%s", diff)
	}
	var second unix.Stat_t
	if err := unix.Stat(p.Helper, &second); err != nil || second.Ino != first.Ino || second.Ctim != first.Ctim {
		t.Errorf("the second setup changed the helper (%v)", err)
	}
}

func TestInstall_Updates(t *testing.T) {
	p := newPlace(t)
	p.install(t, nil)
	gid, err := p.findGroup()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reason string
		change func() error
	}{
		{"an older helper", func() error { return os.WriteFile(p.Helper, []byte("#!/bin/sh\n"), 0o750) }},
		{"everybody may run it", func() error { return os.Chmod(p.Helper, 0o755) }},
		{"it belongs to a user", func() error { return os.Chown(p.Helper, 65534, gid) }},
		{"it lost its capabilities", func() error { return unix.Removexattr(p.Helper, capabilityAttribute) }},
		{"it has more capabilities than it needs", func() error {
			return giveCapabilities(p.Helper, needed()|1<<unix.CAP_SYS_ADMIN)
		}},
		{"it is a link", func() error {
			return errors.Join(os.Remove(p.Helper), os.Symlink("/bin/true", p.Helper))
		}},
		{"a setup was killed", func() error {
			return errors.Join(os.Remove(p.Helper),
				os.WriteFile(filepath.Join(filepath.Dir(p.Helper), partialPrefix+"1"), nil, 0o600))
		}},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		said := p.install(t, nil)
		if !strings.Contains(said, "d LIBEXEC/netzero/netzero-helper (root:GROUP 0750)") {
			t.Errorf("%s: %s", c.reason, said)
		}
		if current, err := p.isCurrent(p.program, gid); err != nil || !current {
			t.Errorf("%s: the helper is not up to date (%v)", c.reason, err)
		}
		if entries, err := os.ReadDir(filepath.Dir(p.Helper)); err != nil || len(entries) != 1 {
			t.Errorf("%s: the directory holds %v (%v)", c.reason, entries, err)
		}
	}
}

func TestInstall_WhileTheHelperRuns(t *testing.T) {
	m := newMember(t)
	cmd := m.run(t, nil, "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.program = append(m.program[:len(m.program):len(m.program)], "newer"...)
	if said := m.install(t, nil); !strings.Contains(said, "updated ") {
		t.Error(said)
	}
	if _, err := fmt.Fprint(in, "still here"); err != nil {
		t.Error(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil || out.String() != "still here" {
		t.Errorf("got %q (%v)", out.String(), err)
	}
}

func TestInstall_DespiteUmask(t *testing.T) {
	p := newPlace(t)
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	p.install(t, lookup(t, testenv.User(t))) // which runs the helper as the user
}

func TestInstall_Refuses(t *testing.T) {
	for _, c := range []struct {
		reason  string
		mount   []string // of the directory above that of the helper
		prepare func(dir string) error
		want    string
	}{
		{"nosuid", []string{"-t", "tmpfs", "-o", "nosuid"}, nil, "mounted nosuid: programs there get no capabilities"},
		{"noexec", []string{"-t", "tmpfs", "-o", "noexec"}, nil, "mounted noexec: no program runs there"},
		{"read-only", []string{"-t", "tmpfs", "-o", "ro"}, nil, "read-only file system: it must be writable once"},
		{"full", []string{"-t", "tmpfs", "-o", "size=64k"}, nil, "no space left on device: nothing was installed"},
		{"no extended attributes", []string{"-t", "ramfs"}, nil, "no extended attributes, and so no file capabilities"},
		{"anybody may replace the helper", nil, func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o777))
		}, "must be a directory that only root may write to"},
		{"the directory leads elsewhere", nil, func(dir string) error { return os.Symlink("/tmp", dir) },
			"must be a directory that only root may write to"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			p := newPlace(t)
			dir := filepath.Dir(p.Helper)
			if err := os.Mkdir(filepath.Dir(dir), 0o755); err != nil {
				t.Fatal(err)
			}
			if c.mount != nil {
				mount(t, filepath.Dir(dir), c.mount...)
			}
			if c.prepare != nil {
				if err := c.prepare(dir); err != nil {
					t.Fatal(err)
				}
			}
			err := p.Install(t.Context(), p.program, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q", err, c.want)
			}
			if entries, err := os.ReadDir(dir); err == nil && c.mount != nil && len(entries) > 0 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestCheck_NamesTheMissingCapability(t *testing.T) {
	p := newPlace(t)
	u := lookup(t, testenv.User(t))
	p.install(t, u)
	gid, err := p.findGroup()
	if err != nil {
		t.Fatal(err)
	}
	all := probe.Capabilities()[:3] // the fourth one, before Linux 5.11, may be replaced by a limit that suffices
	all = append(all, probe.Capability{Number: unix.CAP_DAC_OVERRIDE, Name: "CAP_DAC_OVERRIDE"})
	for _, missing := range all {
		if err := giveCapabilities(p.Helper, needed()&^(1<<missing.Number)); err != nil {
			t.Fatal(err)
		}
		err := p.check(t.Context(), u, gid)
		if err == nil || !strings.Contains(err.Error(), "the launcher lacks "+missing.Name) {
			t.Errorf("without %s: %v", missing.Name, err)
		}
	}
	if err := unix.Removexattr(p.Helper, capabilityAttribute); err != nil {
		t.Fatal(err)
	}
	want := "the launcher lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON"
	if err := p.check(t.Context(), u, gid); err == nil || err.Error() != want {
		t.Errorf("without capabilities: %v, want %s", err, want)
	}
}

func TestRemove(t *testing.T) {
	p := newPlace(t)
	account := testenv.User(t)
	p.install(t, lookup(t, account))
	removed := `removed LIBEXEC/netzero/netzero-helper
removed LIBEXEC/netzero
removed group GROUP and its list of members
`
	absent := `there is no LIBEXEC/netzero/netzero-helper
there is no group GROUP
`
	for _, want := range []string{removed, absent} {
		p.said = nil
		if err := p.Remove(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.lines()); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}
	}
	if _, err := user.LookupGroup(p.Group); err == nil {
		t.Errorf("group %s is still there", p.Group)
	}
	if _, err := os.Stat(filepath.Dir(p.Helper)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is still there (%v)", err)
	}
}

func TestRemove_KeepsWhatOthersUse(t *testing.T) {
	p := newPlace(t)
	p.install(t, nil)
	account := testenv.User(t) // with a primary group of the same name
	group := p.Group
	if err := p.removeGroup(); err != nil {
		t.Fatal(err)
	}
	p.Group = account.Name
	defer func() { p.Group = group }()
	other := filepath.Join(filepath.Dir(p.Helper), "other")
	if err := os.WriteFile(other, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.said = nil
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	want := "removed LIBEXEC/netzero/netzero-helper\nkept LIBEXEC/netzero: it holds other files\n" +
		"kept group GROUP: it is the primary group of GROUP\n"
	if diff := cmp.Diff(want, p.lines()); diff != "" {
		t.Errorf("said (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

func TestChange_NoProgram(t *testing.T) {
	i := Installation{Group: "netzero"}
	absent := [][]string{{"netzero-no-groupadd", "GROUP"}, {"netzero-no-addgroup"}}
	err := i.change("add group netzero", absent, "")
	want := "add group netzero: none of the programs for it is installed: netzero-no-groupadd, netzero-no-addgroup"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	failing := []string{"sh", "-c", "echo $0 $1 >&2; exit 3", "GROUP", "USER"}
	err = i.change("add group netzero", [][]string{absent[0], failing}, "me")
	want = "add group netzero: sh: exit status 3: netzero me"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func giveCapabilities(path string, set uint64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(setCapabilities(int(f.Fd()), set), f.Close())
}

func mount(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", append(args, "netzero-test", dir)...).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
}
