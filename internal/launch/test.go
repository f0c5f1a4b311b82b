package launch

import (
	"context"
	"os"
	"runtime"
)

// TestEnvironment returns the environment in which go test builds test binaries that can be recorded: for the kernel of
// this machine, or else for that of the container engine.
func TestEnvironment(ctx context.Context) ([]string, error) {
	if runtime.GOOS == "linux" {
		return os.Environ(), nil
	}
	if runtime.GOOS == "windows" {
		return nil, errWindows
	}
	engine, arch, err := openEngine(ctx)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	return append(os.Environ(), "GOOS=linux", "GOARCH="+arch), nil
}
