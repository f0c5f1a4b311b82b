package netzerotest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/check"
	"github.com/netzero-dev/netzero/internal/probe"
)

// packageDir is the directory of the package under test. go test starts a test binary there, and tests may leave it.
var packageDir, packageDirErr = workingDir()

func workingDir() (check.Dir, error) {
	dir, err := os.Getwd()
	return check.Dir(dir), err
}

// environment holds the settings from the process's environment and flags.
type environment struct {
	off     bool // NETZERO=off
	require bool // fail if recording is impossible
	ci      bool // write no golden file
	update  bool // -update or NETZERO_UPDATE
	sizes   probe.Sizes

	recordings string // the directory in NETZERO_RECORDINGS; empty if recordings are not written as data
}

func readEnvironment() (environment, error) {
	var e environment
	switch v := os.Getenv("NETZERO"); v {
	case "":
	case "off":
		e.off = true
	case "require":
		e.require = true
	default:
		return e, fmt.Errorf("NETZERO=%q: is neither off nor require", v)
	}
	e.ci = isCI(os.Getenv("CI"))
	var err error
	if e.update, err = updating(); err != nil {
		return e, err
	}
	if e.sizes.RingBytes, err = size("NETZERO_RING_BYTES"); err != nil {
		return e, err
	}
	if n := e.sizes.RingBytes; n&(n-1) != 0 || n != 0 && n < uint32(os.Getpagesize()) {
		return e, fmt.Errorf("NETZERO_RING_BYTES=%d: is not a power of two of at least a page (%d)", n, os.Getpagesize())
	}
	if e.sizes.MaxFlows, err = size("NETZERO_MAX_FLOWS"); err != nil {
		return e, err
	}
	if e.recordings, err = recordingsDirectory(); err != nil {
		return e, err
	}
	if e.off && e.update {
		return e, fmt.Errorf("NETZERO=off and an update of the golden files contradict each other: unset one")
	}
	if e.ci && e.update {
		return e, fmt.Errorf("CI=%q: golden files are never written in CI: run the update on a developer's machine, or unset CI", os.Getenv("CI"))
	}
	e.require = e.require || e.ci || e.update
	return e, nil
}

// isCI follows the convention of CI systems: the variable is set to a value other than an empty one, "0" or "false".
func isCI(v string) bool {
	switch strings.ToLower(v) {
	case "", "0", "false":
		return false
	}
	return true
}

// size returns a number from the environment, or 0 if the variable is not set.
func size(variable string) (uint32, error) {
	v := os.Getenv(variable)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n == 0 || n > 1<<30 {
		return 0, fmt.Errorf("%s=%q: is not a number from 1 to %d", variable, v, 1<<30)
	}
	return uint32(n), nil
}

// recordingsDirectory returns the directory in NETZERO_RECORDINGS, or "" if the variable is not set. A relative path is
// relative to the package's directory.
func recordingsDirectory() (string, error) {
	dir := os.Getenv("NETZERO_RECORDINGS")
	if dir == "" {
		return "", nil
	}
	full := packageDir.Join(dir)
	if info, err := os.Stat(full); err != nil || !info.IsDir() {
		return "", fmt.Errorf("NETZERO_RECORDINGS=%q: is not an existing directory: make it first", dir)
	}
	return full, nil
}
