package containers

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const userVariable = "NETZERO_CONTAINERS_USER"

// users are the tests of users. Each runs in a separate process and directory, under the name TestUser, and a test of
// this package checks its outcome.
var users = map[string]func(*testing.T){}

func TestUser(t *testing.T) {
	if name := os.Getenv(userVariable); name != "" {
		users[name](t)
	}
}

// user is the package of a user.
type user struct {
	t   *testing.T
	dir string

	cgroup *delegated // of an unprivileged user; nil for root
}

func newUser(t *testing.T) user {
	t.Helper()
	if os.Getenv(unprivilegedVariable) != "" {
		return unprivileged(t)
	}
	dir := filepath.Join(t.TempDir(), "shop")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return user{t, dir, nil}
}

// test runs a user's test as go test -v does, and returns its output and whether it passed.
func (u user) test(name string, args ...string) (string, bool) {
	u.t.Helper()
	return u.testWith(nil, name, args...)
}

func (u user) testWith(env []string, name string, args ...string) (string, bool) {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe",
		append([]string{"-test.paniconexit0", "-test.run=^TestUser$", "-test.v"}, args...)...)
	cmd.Dir = u.dir
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "CI=") && !strings.HasPrefix(variable, "NETZERO=") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(append(cmd.Env, userVariable+"="+name), env...)
	if u.cgroup != nil {
		u.cgroup.demote(u.t, cmd)
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		u.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.Success()
}

// passes and fails run a user's test, and print its output if the outcome is wrong.
func (u user) passes(name string, args ...string) string {
	u.t.Helper()
	out, passed := u.test(name, args...)
	if !passed {
		u.t.Errorf("%s failed:\n%s", name, out)
	}
	return out
}

func (u user) fails(name string, args ...string) string {
	u.t.Helper()
	out, passed := u.test(name, args...)
	if passed {
		u.t.Errorf("%s passed:\n%s", name, out)
	}
	return out
}

// says fails the test unless a text matches an expression, in which a space is any white space.
func (u user) says(text, expression string) {
	u.t.Helper()
	if !regexp.MustCompile(strings.ReplaceAll(expression, " ", `\s+`)).MatchString(text) {
		u.t.Errorf("nothing matches %q in:\n%s", expression, text)
	}
}

func (u user) saysNot(text, part string) {
	u.t.Helper()
	if strings.Contains(text, part) {
		u.t.Errorf("there is %q in:\n%s", part, text)
	}
}

// golden returns the text of the committed policy.
func (u user) golden() string {
	u.t.Helper()
	text, err := os.ReadFile(filepath.Join(u.dir, "testdata", "netzero", "TestUser.yaml"))
	if err != nil {
		u.t.Fatal(err)
	}
	return string(text)
}

// more reports whether a user's test opens more than in its first run.
func more(t *testing.T) bool {
	t.Helper()
	return os.Getenv("MORE") == "1"
}
