//go:build unix

package testenv

import (
	"crypto/rand"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Account is an ordinary user of this machine that a test made.
type Account struct {
	Name, Home string
	UID, GID   uint32
	Groups     []uint32 // the supplementary groups, by ID
}

// User makes a user named nz-test-<random> with a home of the test's own, and adds it to existing groups. The cleanup
// of the test removes it, and fails the test if a process of the user is left. It skips the test unless it runs as
// root.
func User(tb testing.TB, groups ...string) Account {
	tb.Helper()
	RequireRoot(tb)
	RequireCommand(tb, "useradd", "passwd")
	home := tb.TempDir()
	// The directory above, which the tests of a function share, is root's alone.
	if err := os.Chmod(filepath.Dir(home), 0o711); err != nil {
		tb.Fatal(err)
	}
	a := Account{Name: "nz-test-" + strings.ToLower(rand.Text()[:10]), Home: home}
	args := []string{"--no-create-home", "--home-dir", home, "--shell", "/bin/sh", "--user-group"}
	if len(groups) > 0 {
		args = append(args, "--groups", strings.Join(groups, ","))
	}
	account(tb, "useradd", append(args, a.Name)...)
	tb.Cleanup(func() {
		if out, err := exec.Command("userdel", a.Name).CombinedOutput(); err != nil {
			tb.Errorf("userdel %s: %v\n%s", a.Name, err, out) // such as: a process of the user is left
			account(tb, "userdel", "--force", a.Name)
		}
	})
	made, err := user.Lookup(a.Name)
	if err != nil {
		tb.Fatal(err)
	}
	a.UID, a.GID = id(tb, made.Uid), id(tb, made.Gid)
	for _, name := range groups {
		group, err := user.LookupGroup(name)
		if err != nil {
			tb.Fatal(err)
		}
		a.Groups = append(a.Groups, id(tb, group.Gid))
	}
	if err := os.Chown(home, int(a.UID), int(a.GID)); err != nil {
		tb.Fatal(err)
	}
	return a
}

// Command returns a command that runs as the user, in its home, with the environment of a new login and that of env.
func (a Account) Command(tb testing.TB, env []string, name string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), name, args...)
	cmd.Dir = a.Home
	login := []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "PATH=" + os.Getenv("PATH")}
	cmd.Env = append(login, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}}
	return cmd
}

func account(tb testing.TB, name string, args ...string) {
	tb.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func id(tb testing.TB, text string) uint32 {
	tb.Helper()
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		tb.Fatal(err)
	}
	return uint32(n)
}
