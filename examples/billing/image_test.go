package billing_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/testcontainers/testcontainers-go"
)

// buildShop builds an image that holds only the program shop, so it needs no base image from a registry.
func buildShop(t *testing.T) testcontainers.FromDockerfile {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "shop"), "./shop")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build shop: %v\n%s", err, out)
	}
	dockerfile := "FROM scratch\nCOPY shop /shop\nENTRYPOINT [\"/shop\"]\n"
	check(t, os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644))
	return testcontainers.FromDockerfile{Context: dir}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
