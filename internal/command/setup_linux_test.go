package command

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// ownMachine runs a script in which /etc, /usr/local/libexec and /run are copies or empty, and everything else is this
// machine's. There is no group netzero, no helper and no engine.
const ownMachine = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$COPY"
# Other tests make users meanwhile, so temporary files come and go.
tar -C /etc -cf - . 2>/dev/null | tar -C "$COPY" -xpf -
sed -i /^netzero:/d "$COPY/group" "$COPY/gshadow"
mount --bind "$COPY" /etc
mkdir -p /usr/local/libexec
mount -t tmpfs tmpfs /usr/local/libexec
mount -t tmpfs tmpfs /run
eval "$SCRIPT"
`

// machine is a machine of the test's own, with a user who calls sudo.
type machine struct {
	testenv.Account
	program string // netzero
	copy    string // the directory in which /etc is copied
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.RequireCommand(t, "unshare", "util-linux")
	dir := t.TempDir()
	m := &machine{Account: testenv.User(t), program: filepath.Join(dir, "netzero"), copy: filepath.Join(dir, "etc")}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(m.copy, 0o755); err != nil {
		t.Fatal(err)
	}
	const pkg = "github.com/netzero-dev/netzero/netzerotest/cmd/netzero"
	build(t, "", m.program, pkg)
	// The user has built the helper before, so that the test downloads and compiles nothing as that user.
	text, err := os.ReadFile(m.program)
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(m.Home, ".cache", "netzero")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	build(t, "netzero_helper", filepath.Join(cache, fmt.Sprintf("helper-%s-%x", runtime.GOARCH, sum[:8])), pkg)
	if out, err := exec.Command("chown", "-R", m.Name+":", m.Home).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	return m
}

func build(t *testing.T, tags, path, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-tags="+tags, "-buildvcs=false", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// run runs a script as root of the machine, as sudo does for the user.
func (m *machine) run(t *testing.T, script string) (string, error) {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "sh", "-c", ownMachine)
	cmd.Dir = m.Home
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + m.copy, "SUDO_USER=" + m.Name, fmt.Sprint("SUDO_UID=", m.UID),
		fmt.Sprint("SUDO_GID=", m.GID), "SUDO_COMMAND=" + m.program, "COPY=" + m.copy, "SCRIPT=" + script,
		"NETZERO=" + m.program, "USER_NAME=" + m.Name, "USER_HOME=" + m.Home,
	}
	out, err := cmd.CombinedOutput()
	return strings.ReplaceAll(string(out), m.Name, "USER"), err
}

func TestSetup(t *testing.T) {
	m := newMachine(t)
	got, err := m.run(t, `
$NETZERO setup | sed 's/gid [0-9]*/gid N/; s/ with CAP_.*//'
echo and again
$NETZERO setup | sed 's/gid [0-9]*/gid N/'
su $USER_NAME -c "$NETZERO exec -v -by helper $NETZERO -h" | head -1
stat -c '%U:%G %a' /usr/local/libexec/netzero /usr/local/libexec/netzero/netzero-helper
find $(dirname $NETZERO)/../*/ -user root -path '*/.cache/*'
echo and remove
$NETZERO setup -remove | sed "s,$HOME,HOME,"
getent group netzero || echo no group
ls /usr/local/libexec
$NETZERO setup -remove
`)
	want := `added system group netzero (gid N)
installed /usr/local/libexec/netzero/netzero-helper (root:netzero 0750)
added USER to group netzero; it counts from the next login on, or at once in a shell of: newgrp netzero
checked: USER may record by /usr/local/libexec/netzero/netzero-helper
and again
group netzero exists (gid N)
/usr/local/libexec/netzero/netzero-helper is up to date
USER is a member of group netzero
checked: USER may record by /usr/local/libexec/netzero/netzero-helper
netzero exec: helper
usage: netzero command [flags] [arguments]
root:root 755
root:netzero 750
and remove
removed CACHE
removed /usr/local/libexec/netzero/netzero-helper
removed /usr/local/libexec/netzero
removed group netzero and its list of members
no group
there is no /usr/local/libexec/netzero/netzero-helper
there is no group netzero
`
	got = strings.NewReplacer(filepath.Join(m.Home, ".cache", "netzero"), "CACHE", m.program, "NETZERO").Replace(got)
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetup_WithoutTerminal(t *testing.T) {
	m := newMachine(t)
	testenv.RequireCommand(t, "sudo", "sudo")
	for _, arguments := range [][]string{{"setup"}, {"setup", "-remove"}} {
		cmd := m.Command(t, []string{"DOCKER_HOST=unix:///no/engine"}, m.program, arguments...)
		cmd.SysProcAttr.Setsid = true // gives up the terminal
		out, err := cmd.CombinedOutput()
		text := strings.Join(strings.Fields(string(out)), " ")
		want := "netzero setup: it needs root, and there is no terminal on which sudo can ask for a password; run it on a " +
			"terminal, or as root: sudo go tool netzero " + strings.Join(arguments, " ")
		if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) || exited.ExitCode() != 1 ||
			!strings.HasSuffix(text, want) {
			t.Errorf("%v: got %q (%v), want %q", arguments, text, err, want)
		}
	}
}

func TestSetup_BySudo(t *testing.T) {
	m := newMachine(t)
	testenv.RequireCommand(t, "sudo", "sudo")
	testenv.RequireCommand(t, "script", "bsdutils")
	got, err := m.run(t, `
echo "$USER_NAME ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/nz-test
unset SUDO_USER SUDO_UID SUDO_GID SUDO_COMMAND
as_user() {
	script --quiet --return --command "HOME=$USER_HOME runuser -u $USER_NAME -- $*" /dev/null </dev/null |
		tr -d '\r\b' | sed 's/\^@//g' # echoes of the end of input
}
as_user $NETZERO setup >/dev/null
as_user $NETZERO setup | tail -1
as_user $NETZERO setup -remove
find $(dirname $NETZERO)/../*/ -user root -path '*/.cache/*'
`)
	want := `checked: USER may record by /usr/local/libexec/netzero/netzero-helper
removed CACHE
removed /usr/local/libexec/netzero/netzero-helper
removed /usr/local/libexec/netzero
removed group netzero and its list of members
`
	got = strings.ReplaceAll(got, filepath.Join(m.Home, ".cache", "netzero"), "CACHE")
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetup_AsksSudoOnATerminal(t *testing.T) {
	m := newMachine(t)
	testenv.RequireCommand(t, "script", "bsdutils")
	// A sudo that stands in for the real one shows what it is called with.
	bin := filepath.Join(filepath.Dir(m.program), "bin")
	if err := errors.Join(os.Mkdir(bin, 0o755),
		os.WriteFile(filepath.Join(bin, "sudo"), []byte("#!/bin/sh\necho sudo \"$@\"\nexit 7\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := m.Command(t, []string{"DOCKER_HOST=unix:///no/engine"}, "script", "--quiet", "--return", "--command",
		m.program+" setup", "/dev/null")
	for n, variable := range cmd.Env {
		if path, is := strings.CutPrefix(variable, "PATH="); is {
			cmd.Env[n] = "PATH=" + bin + ":" + path
		}
	}
	out, err := cmd.CombinedOutput()
	want := fmt.Sprintf("sudo -- %s setup-root install %s/.cache/netzero/helper-", m.program, m.Home)
	if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) || exited.ExitCode() != 7 ||
		!strings.HasPrefix(string(out), want) {
		t.Errorf("got %q (%v), want %q and status 7", out, err, want)
	}
}

func TestSetup_Usage(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"setup -editor ed", `"ed" is no editor that is known here: vscode, goland, neovim`},
		{"setup -write", "-write needs -editor"},
		{"setup -editor vscode -remove", "-editor and -remove cannot be combined"},
		{"setup vscode", "it has no arguments, only flags"},
		{"setup-root", "only setup itself runs its part for root"},
		{"setup-user", "only setup itself runs its part for a user"},
	} {
		var out, errs strings.Builder
		status := dispatch(strings.Fields(c.args), &out, &errs)
		if want := "netzero setup: " + c.want + "\n"; status != statusUsage || errs.String() != want {
			t.Errorf("%s: got status %d, %q, want %q", c.args, status, errs.String(), want)
		}
	}
}

func TestSetup_Editor(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{"go.mod": "module example.test/m\n\ngo 1.25\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOENV", "off")
	t.Setenv("GOWORK", "off")
	run := func(args ...string) (int, string) {
		var out strings.Builder
		status := dispatch(append([]string{"setup"}, args...), &out, &out)
		return status, out.String()
	}
	// This test binary is in a directory of go test's, as netzero is with go run.
	status, out := run("-editor", "vscode")
	const get = "go get -tool github.com/netzero-dev/netzero/netzerotest/cmd/netzero"
	if status != statusFailed || !strings.Contains(out, get) {
		t.Errorf("got status %d, %s", status, out)
	}
	err := os.WriteFile("main.go", []byte("package main\n\nfunc main() {}\n"), 0o644)
	module := "module example.test/netzero\n\ngo 1.25\n\ntool example.test/netzero\n"
	if err := errors.Join(err, os.WriteFile("go.mod", []byte(module), 0o644)); err != nil {
		t.Fatal(err)
	}
	status, out = run("-editor", "vscode")
	if status != statusOK || !strings.Contains(out, "'-exec=go tool netzero exec'") {
		t.Errorf("got status %d, %s", status, out)
	}
	path := filepath.Join(".vscode", "settings.json")
	for _, want := range []string{"wrote " + path + "\n", path + " has the settings\n"} {
		if status, out := run("-editor", "vscode", "-write"); status != statusOK || out != want {
			t.Errorf("got status %d, %q, want %q", status, out, want)
		}
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	status, out = run("-editor", "neovim")
	want := "GOFLAGS is now -mod=mod: a GOFLAGS of the editor replaces it, so add what the tests need of it\n"
	if status != statusOK || !strings.HasSuffix(out, want) {
		t.Errorf("got status %d, %s, want %s", status, out, want)
	}
	if status, out := run("-editor", "goland", "-write"); status != statusFailed ||
		!strings.Contains(out, "Go tool arguments:") || !strings.Contains(out, "add the lines above yourself") {
		t.Errorf("got status %d, %s", status, out)
	}
}
