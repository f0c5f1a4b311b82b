package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"github.com/netzero-dev/netzero/internal/launch"
)

var execCommand = subcommand{
	name:    "exec",
	args:    "command [argument ...]",
	summary: "Runs a test binary with what recording needs: go test -exec 'go tool netzero exec' ./...",
	help: `It takes the first way that works: this process itself, the helper that "netzero setup"
installs, sudo, a container of an engine. The test binary runs as the calling user.`,
	run: runExec,
}

func runExec(c *call) int {
	verbose := c.flags.Bool("v", false, "print the way that is taken")
	by := c.flags.String("by", "", "take this `way`: direct, helper, sudo or engine")
	if status, ok := c.parse(); !ok {
		return status
	}
	command := c.flags.Args()
	if len(command) == 0 {
		return c.fail(statusUsage, fmt.Errorf("no command; go test adds it: go test -exec 'go tool netzero exec' PACKAGES"))
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return c.fail(statusFailed, fmt.Errorf("find the test binary: %w", err))
	}
	ctx := context.Background()
	way := launch.Direct
	switch native, err := launch.IsNative(path); {
	case err != nil:
		return c.fail(statusFailed, err)
	case !native:
		way = launch.Engine // nothing else runs it
		if *verbose {
			fmt.Fprintf(c.stderr, "netzero exec: %s\n", way)
		}
		return c.fail(statusFailed, way.Run(ctx, command))
	}
	switch records, err := launch.CanRecord(path, command[1:]...); {
	case err != nil:
		return c.fail(statusFailed, err)
	case !records || os.Getenv("NETZERO") == "off":
		if *verbose {
			fmt.Fprintf(c.stderr, "netzero exec: %s does not record: it needs nothing\n", command[0])
		}
		return c.fail(statusFailed, way.Run(ctx, command))
	}
	if runtime.GOOS != "linux" {
		fmt.Fprintf(c.stderr, "netzero exec: not recorded: this test binary is for %s; go tool netzero test records it\n",
			runtime.GOOS)
		return c.fail(statusFailed, way.Run(ctx, command))
	}
	if *by != "" {
		var err error
		if way, err = launch.ParseWay(*by); err != nil {
			return c.fail(statusUsage, err)
		}
	} else {
		found := launch.Find(ctx)
		if way = found.Way; way == "" {
			for _, o := range found.Obstacles {
				fmt.Fprintf(c.stderr, "netzero exec: %s\n", o)
			}
			way = launch.Direct // the test says that it is not recorded
		}
	}
	if *verbose {
		fmt.Fprintf(c.stderr, "netzero exec: %s\n", way)
	}
	return c.fail(statusFailed, way.Run(ctx, command))
}
