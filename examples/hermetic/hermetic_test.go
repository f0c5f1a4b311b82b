package hermetic_test

import (
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/netzero-dev/netzero/examples/hermetic"
	"github.com/netzero-dev/netzero/netzerotest"
)

// flagsVariable contains the URL of the service's flags, as in a deployment.
const flagsVariable = "FLAGS_URL"

// The service starts and answers without the internet: the committed policy allows nothing, and the kernel refuses
// everything else.
func TestStart(t *testing.T) {
	requireRoot(t) // your test does not need this line
	netzerotest.Record(t, netzerotest.Enforce())

	server := httptest.NewServer(hermetic.Start(t.Context(), os.Getenv(flagsVariable)))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got, err := io.ReadAll(response.Body); string(got) != "Hello!\n" {
		t.Errorf("got %q, %v, want a greeting", got, err)
	}
}

// With remote flags, TestStart fails, although the service starts all the same. Your test does not need this one.
func TestStart_FlagsFromInternet(t *testing.T) {
	requireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	test := exec.CommandContext(t.Context(), self, "-test.paniconexit0", "-test.run=^TestStart$")
	test.Env = []string{flagsVariable + "=https://flags.example.com/", "PATH=" + os.Getenv("PATH")}
	out, err := test.CombinedOutput()
	if err == nil {
		t.Errorf("the test passes:\n%s", out)
	}
	for _, want := range []string{
		`hermetic: starts with built-in flags: .*: operation not permitted`,
		`hermetic -> flags\.example\.com`,
		`refused +in the kernel`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("the output has no match for %q:\n%s", want, out)
		}
	}
}

// requireRoot skips the test if this process cannot load eBPF programs, or fails it if no test may be skipped.
func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("NETZERO_TEST_REQUIRE") == "1":
		t.Fatal("only root can run this test")
	default:
		t.Skip("only root can run this test: go test -exec 'sudo --preserve-env'")
	}
}
