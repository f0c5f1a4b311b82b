package kafka_test

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/netzero-dev/netzero/examples/kafka"
)

// strayVariable names a topic that the ingestion consumes, instead of the one that its policy lists.
const strayVariable = "EXAMPLE_STRAY"

// consumed returns the topic that the ingestion consumes.
func consumed() string {
	if topic := os.Getenv(strayVariable); topic != "" {
		return topic
	}
	return kafka.Payments
}

// TestIngestion fails if the ingestion fetches from the topic to which it may only produce. Your test does not need
// this one.
func TestIngestion_FetchesTelemetry(t *testing.T) {
	requireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	test := exec.CommandContext(t.Context(), self, "-test.paniconexit0", "-test.run=^TestIngestion$")
	test.Env = append(os.Environ(), strayVariable+"="+kafka.Telemetry)
	out, err := test.CombinedOutput()
	if err == nil {
		t.Errorf("the test passes:\n%s", out)
	}
	if want := `ingestion -> kafka:9092/TCP.*fetch alpha-telemetry`; !regexp.MustCompile(want).Match(out) {
		t.Errorf("the output has no match for %q:\n%s", want, out)
	}
	if other := `dashboard -> `; regexp.MustCompile(other).Match(out) {
		t.Errorf("the output has a match for %q:\n%s", other, out)
	}
}

// requireRoot skips the test if this process cannot load eBPF programs, or fails it if no test may be skipped.
func requireRoot(t *testing.T) {
	t.Helper()
	switch {
	case os.Geteuid() == 0 && os.Getenv("NETZERO") != "off":
	case os.Getenv("NETZERO_TEST_REQUIRE") == "1":
		t.Fatal("only root can run this test")
	default:
		t.Skip("only root can run this test: go test -exec 'sudo --preserve-env'")
	}
}
