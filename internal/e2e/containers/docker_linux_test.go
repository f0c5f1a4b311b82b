package containers

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// docker runs Docker's client for features that testcontainers lacks. It splits its last argument at spaces.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	last := len(args) - 1
	args = append(args[:last:last], strings.Fields(args[last])...)
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
