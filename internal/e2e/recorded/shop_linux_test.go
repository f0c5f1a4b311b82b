package recorded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/testnet"
)

// newLab returns the lab of the user's tests.
func newLab(t *testing.T) *testnet.Net {
	t.Helper()
	lab := testnet.New(t)
	t.Logf("the hosts are reached over %s", lab.Wire())
	lab.ServeDNS("203.0.113.53:53", testnet.MustZone(
		"api.pay.test A 203.0.113.10",
		"refunds.pay.test A 203.0.113.10",
		"metrics.pay.test A 203.0.113.11",
		"six.pay.test AAAA 2001:db8::10",
	))
	for _, address := range []string{"203.0.113.10:443", "203.0.113.12:5432", "[2001:db8::10]:443"} {
		lab.ServeTCP(address, nil)
	}
	for _, address := range []string{"203.0.113.10:443", "203.0.113.11:8125", "[2001:db8::10]:8125"} {
		lab.ServeUDP(address, nil)
	}
	return lab
}

// shop is a user's package.
type shop struct {
	t   *testing.T
	lab *testnet.Net
	dir string
}

func newShop(t *testing.T, lab *testnet.Net) shop {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	check(t, os.Mkdir(dir, 0o755))
	return shop{t, lab, dir}
}

// check fails the test if its set-up fails.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run is a run of a user's test: go test -run '^Test$' FLAGS, with only these of our variables.
type run struct {
	Test string // default TestShop
	Open string
	Args []string
	Env  []string
}

// ended is a run that has ended.
type ended struct {
	shop
	run
	text string
	code int
}

// run runs a test to its end.
func (s shop) run(r run) ended {
	s.t.Helper()
	return s.start(r)()
}

// start starts a run, and returns a function that waits for its end.
func (s shop) start(r run) (wait func() ended) {
	s.t.Helper()
	r.Test = cmp.Or(r.Test, "TestShop")
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	args := []string{"-test.paniconexit0", "-test.timeout=90s", "-test.run=^" + r.Test + "$"}
	command := s.lab.Command(ctx, "/proc/self/exe", append(args, r.Args...)...)
	command.Dir = s.dir
	command.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "GORACE=atexit_sleep_ms=0",
		asVariable + "=" + asUser, openVariable + "=" + r.Open,
	}, r.Env...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	check(s.t, command.Start())
	return func() ended {
		s.t.Helper()
		defer cancel()
		err := command.Wait()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			s.t.Fatalf("wait for %s: %v", r.Test, err)
		}
		s.leftNothing(command.Process.Pid)
		return ended{s, r, output.String(), command.ProcessState.ExitCode()}
	}
}

// leftNothing fails the test if a process left its cgroup behind. Without the process its programs are gone too,
// because only descriptors of the process held them.
func (s shop) leftNothing(pid int) {
	s.t.Helper()
	tree, err := cgroup.FindTree()
	check(s.t, err)
	dir, err := tree.Current()
	check(s.t, err)
	left, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("netzero-%d-*", pid)))
	check(s.t, err)
	if len(left) > 0 {
		s.t.Errorf("the run has left %q", left)
	}
}

func (e ended) passes() ended {
	e.t.Helper()
	if e.code != 0 {
		e.t.Fatalf("%s of %q %q ended with exit code %d, want 0:\n%s", e.Test, e.Open, e.Args, e.code, e.text)
	}
	return e
}

func (e ended) fails() ended {
	e.t.Helper()
	if e.code != 1 {
		e.t.Fatalf("%s of %q %q ended with exit code %d, want 1:\n%s", e.Test, e.Open, e.Args, e.code, e.text)
	}
	return e
}

// says checks that the output contains texts, in any line breaks.
func (e ended) says(texts ...string) ended {
	e.t.Helper()
	for _, text := range texts {
		if !strings.Contains(oneLine(e.text), oneLine(text)) {
			e.t.Errorf("%s of %q %q does not say %q:\n%s", e.Test, e.Open, e.Args, text, e.text)
		}
	}
	return e
}

func (e ended) doesNotSay(texts ...string) ended {
	e.t.Helper()
	for _, text := range texts {
		if strings.Contains(oneLine(e.text), oneLine(text)) {
			e.t.Errorf("%s of %q %q says %q:\n%s", e.Test, e.Open, e.Args, text, e.text)
		}
	}
	return e
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

var offered = regexp.MustCompile(`To accept:\s+go test \S+ -run '\^(\S+)\$' (-update)\n`)

// accept runs the command that the output offers behind "To accept:", as go test would.
func (e ended) accept() ended {
	e.t.Helper()
	m := offered.FindStringSubmatch(e.text)
	if m == nil {
		e.t.Fatalf("the text offers no command to accept:\n%s", e.text)
	}
	return e.shop.run(run{Test: m[1], Open: e.Open, Args: []string{m[2]}, Env: e.Env})
}

// golden compares the bytes of a test's golden file with a file in testdata. An empty name means that there must be no
// golden file.
func (s shop) golden(test, name string) {
	s.t.Helper()
	got, err := os.ReadFile(filepath.Join(s.dir, "testdata", "netzero", test+".yaml"))
	if name == "" {
		if !errors.Is(err, os.ErrNotExist) {
			s.t.Errorf("%s has a golden file (%v), want none:\n%s", test, err, got)
		}
		return
	}
	check(s.t, err)
	file := filepath.Join("testdata", name)
	if *writeGolden {
		check(s.t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	check(s.t, err)
	if diff := gocmp.Diff(string(want), string(got)); diff != "" {
		s.t.Errorf("golden file of %s (-%s +written):\n%s", test, name, diff)
	}
}
