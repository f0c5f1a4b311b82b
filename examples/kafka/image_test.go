package kafka_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/testcontainers/testcontainers-go"
)

// buildBroker builds an image that holds only the program broker, so it needs no base image from a registry.
func buildBroker(t *testing.T) testcontainers.FromDockerfile {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(
		t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "broker"), "./broker",
	)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build broker: %v\n%s", err, out)
	}
	dockerfile := "FROM scratch\nCOPY broker /broker\nENTRYPOINT [\"/broker\"]\n"
	check(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644))
	return testcontainers.FromDockerfile{Context: dir}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
