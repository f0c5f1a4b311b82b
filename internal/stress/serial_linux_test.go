package stress

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/internal/testnet"
)

var shuffles = flag.Int("shuffles", 3,
	"in how many orders tests run that share a pool and clients, the last one without -update")

var isNotice = regexp.MustCompile(`(?m)^ +- (.*)$`)

// serialTests is the number of tests in package serial.
const serialTests = 30

// serialServers are the rules for the servers of these tests. A test uses server i if bit i of its number is set.
var serialServers = []string{"app: orders-db", "egress-names: api.rates.test:8080/TCP", "app: stock"}

// 30 tests share a pool, an HTTP client and a gRPC client. Each policy contains exactly the flows of its test, with
// the same bytes in any order of the tests, although most tests open no connection.
func TestOrder_SharedClients(t *testing.T) { buildSerial(t).checkEachPolicy(t) }

// The first test that needs a client makes the client, and has ended when the other tests use it.
func TestOrder_ClientsMadeByFirstTest(t *testing.T) {
	s := buildSerial(t)
	s.env = append(s.env, "SERIAL_LAZY=1")
	s.checkEachPolicy(t)
}

// The same tests with one recording of the package.
func TestOrder_PackageRecording(t *testing.T) {
	s := buildSerial(t)
	s.env = append(s.env, "SERIAL_PACKAGE=1")
	s.notices = []string{"infrastructure, not in the policy: wait strategies: orders-db:5432/TCP"}
	first := s.run(t, "first", 1, "-update")
	if len(first) != 1 {
		t.Errorf("there are %d policies, want 1", len(first))
	}
	for _, server := range serialServers {
		if strings.Count(first["package.yaml"], server) == 0 {
			t.Errorf("the policy lacks %q:\n%s", server, first["package.yaml"])
		}
	}
	s.sameInAnyOrder(t, first)
}

// serial is the test binary of package serial, with its environment.
type serial struct {
	binary, resolvConf string
	env                []string
	notices            []string
}

func buildSerial(t *testing.T) *serial {
	testenv.RequireRoot(t)
	dir := t.TempDir()
	s := &serial{binary: filepath.Join(dir, "serial.test"), resolvConf: filepath.Join(dir, "resolv.conf")}
	stockd := filepath.Join(dir, "stockd")
	build(t, "CGO_ENABLED=0", "build", "-buildvcs=false", "-o", stockd, "./testdata/serial/stockd")
	build(t, "", "test", "-c", "-buildvcs=false", "-o", s.binary, "./testdata/serial")

	lab := testnet.New(t)
	lab.ServeDNS("203.0.113.180:53", testnet.MustZone("api.rates.test A 203.0.113.181"))
	lab.ServeHTTP("203.0.113.181:8080", nil)
	label := fmt.Sprint("netzero-serial-", os.Getpid())
	docker(t, "network", "create", "--subnet", "203.0.113.128/25", "--ip-range", "203.0.113.128/28", "-o",
		"com.docker.network.bridge.name=nzserial", label)
	t.Cleanup(func() {
		for _, id := range strings.Fields(docker(t, "ps", "-aq", "--filter",
			"label=serial="+label)) { // containers of a killed run
			docker(t, "rm", "-f", id)
		}
		docker(t, "network", "rm", label)
	})
	if err := lab.JoinBridge("nzserial", netip.MustParsePrefix("203.0.113.254/25")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.resolvConf, []byte("nameserver 203.0.113.180\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "NETZERO=require", "NETZERO_UPDATE=", "CI=", "SERIAL_LABEL="+label,
		"SERIAL_STOCKD="+stockd,
		"SERIAL_IMAGE="+testenv.Image(t, "peer"), "SERIAL_POSTGRES="+testenv.ExampleImage(t, "postgres", "postgres:17"))
	return s
}

func build(t *testing.T, env string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
}

// docker runs Docker's client. It also works in a cleanup.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).Output()
	if err != nil {
		t.Errorf("docker %q: %v", args, err)
	}
	return string(out)
}

func (s *serial) checkEachPolicy(t *testing.T) {
	t.Helper()
	first := s.run(t, "first", 1, "-update")
	for n := range serialTests {
		text, bits := first[fmt.Sprintf("Test%02d.yaml", n)], 0
		for bit, server := range serialServers {
			if strings.Contains(text, server) {
				bits |= 1 << bit
			}
		}
		if want := n % (1 << len(serialServers)); bits != want {
			t.Errorf("Test%02d uses the servers %03b, and its policy has %03b:\n%s", n, want, bits, text)
		}
	}
	if len(first) != serialTests {
		t.Errorf("there are %d policies, want %d", len(first), serialTests)
	}
	s.sameInAnyOrder(t, first)
}

// sameInAnyOrder runs the tests in more orders, with seeds from 2 on. Each run starts without a policy; the last one
// compares.
func (s *serial) sameInAnyOrder(t *testing.T, first map[string]string) {
	t.Helper()
	for seed := 2; seed < *shuffles; seed++ {
		got := s.run(t, fmt.Sprint("seed ", seed), seed, "-update")
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("with seed %d the policies differ from those with seed 1 (-1 +%d):\n%s", seed, seed, diff)
		}
	}
	s.run(t, "first", *shuffles)
}

// run runs the tests in a directory of the shop and returns the written policies.
func (s *serial) run(t *testing.T, dir string, seed int, args ...string) map[string]string {
	t.Helper()
	dir = filepath.Join(filepath.Dir(s.binary), dir, "shop") // its name is in the policies
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// The directory of a package contains such a file.
	if err := os.WriteFile(filepath.Join(dir, "serial_test.go"), []byte("package serial\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-m", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, s.resolvConf,
		s.binary, "-test.paniconexit0", "-test.timeout=5m", "-test.v", fmt.Sprint("-test.shuffle=", seed)}, args...)
	cmd := exec.CommandContext(t.Context(), "unshare", args...)
	cmd.Dir, cmd.Env = dir, s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("seed %d, %q: %v\n%s", seed, args, err, out)
	}
	if ran := bytes.Count(out, []byte("\n--- PASS: ")); ran != serialTests {
		t.Fatalf("seed %d: %d tests ran, want %d:\n%s", seed, ran, serialTests, out)
	}
	var notices []string
	for _, notice := range isNotice.FindAllSubmatch(out, -1) {
		notices = append(notices, string(notice[1]))
	}
	if !slices.Equal(notices, s.notices) {
		t.Errorf("seed %d has the notices %q, want %q:\n%s", seed, notices, s.notices, out)
	}
	policies := make(map[string]string)
	paths, _ := filepath.Glob(filepath.Join(dir, "testdata", "netzero", "*"))
	slices.Sort(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		policies[filepath.Base(path)] = string(text)
	}
	return policies
}
