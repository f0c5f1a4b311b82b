// Package settings reads what a user sets for a run of go test and not in the code of a test: environment variables and
// the flag -update, which it also declares.
//
// It refuses unknown values and contradictions. Otherwise a misspelt variable might turn an update into a comparison.
package settings

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/netzero-dev/netzero/internal/probe"
)

// Settings are the settings of a run.
type Settings struct {
	Off     bool // NETZERO=off: record nothing
	InCI    bool // the variable CI is set
	Require bool // fail if recording is impossible: NETZERO=require, in CI, or with Update or Enforce
	Update  bool // write the golden files: -update or NETZERO_UPDATE
	Enforce bool // refuse in the kernel what golden files do not allow: NETZERO_ENFORCE
	Sizes   probe.Sizes

	Recordings string // the directory in NETZERO_RECORDINGS; empty if recordings are not written as data
	Unscrubbed bool   // NETZERO_SCRUB=off: command lines in written recordings keep what looks like a secret

	CI CI
}

// CI says in which forms of CI systems results are shown. The zero value is for none: outside of CI, or with
// NETZERO_CI=off.
type CI struct {
	Attributes bool   // of package testing: in any CI
	GitHub     bool   // annotations and the step summary of GitHub Actions: GITHUB_ACTIONS=true
	Workspace  string // the directory in GITHUB_WORKSPACE, which has the repository; may be empty
}

// Read returns the settings of this process. resolve returns the full path of a path that the user wrote, which may be
// relative to the package under test.
func Read(resolve func(path string) string) (Settings, error) {
	var s Settings
	switch v := os.Getenv("NETZERO"); v {
	case "":
	case "off":
		s.Off = true
	case "require":
		s.Require = true
	default:
		return s, fmt.Errorf("NETZERO=%q: is neither off nor require", v)
	}
	var err error
	if s.Update, err = updating(); err != nil {
		return s, err
	}
	if s.Enforce, err = isSet("NETZERO_ENFORCE"); err != nil {
		return s, err
	}
	if s.Sizes.RingBytes, err = ringSize("NETZERO_RING_BYTES"); err != nil {
		return s, err
	}
	if s.Sizes.RequestRingBytes, err = ringSize("NETZERO_REQUEST_RING_BYTES"); err != nil {
		return s, err
	}
	if s.Sizes.MaxFlows, err = size("NETZERO_MAX_FLOWS"); err != nil {
		return s, err
	}
	if s.Recordings, err = recordingsDirectory(resolve); err != nil {
		return s, err
	}
	switch v := os.Getenv("NETZERO_SCRUB"); v {
	case "":
	case "off":
		s.Unscrubbed = true
	default:
		return s, fmt.Errorf("NETZERO_SCRUB=%q: is not off", v)
	}
	if s.Off && s.Update {
		return s, fmt.Errorf("NETZERO=off and an update of the golden files contradict each other: unset one")
	}
	if s.Off && s.Enforce {
		return s, fmt.Errorf("NETZERO=off and NETZERO_ENFORCE=%s contradict each other: unset one",
			os.Getenv("NETZERO_ENFORCE"))
	}
	s.InCI = isCI(os.Getenv("CI"))
	if s.InCI && s.Update {
		return s, fmt.Errorf("CI=%q: golden files are never written in CI: run the update on a developer's machine, "+
			"or unset CI", os.Getenv("CI"))
	}
	s.Require = s.Require || s.InCI || s.Update || s.Enforce
	s.CI, err = shown(s.InCI)
	return s, err
}

// shown returns the forms in which results are shown. GitHub's step summary is another file in each step. Package ci
// reads its variable only if there is something to write, because go test caches the result of a test only while the
// variables that the test reads stay as they are.
func shown(inCI bool) (CI, error) {
	switch v := os.Getenv("NETZERO_CI"); {
	case v != "" && v != "off":
		return CI{}, fmt.Errorf("NETZERO_CI=%q: is not off", v)
	case v == "off" || !inCI:
		return CI{}, nil
	case os.Getenv("GITHUB_ACTIONS") != "true":
		return CI{Attributes: true}, nil
	}
	return CI{Attributes: true, GitHub: true, Workspace: os.Getenv("GITHUB_WORKSPACE")}, nil
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

// ringSize is size for a ring buffer of the kernel.
func ringSize(variable string) (uint32, error) {
	n, err := size(variable)
	if err == nil && (n&(n-1) != 0 || n != 0 && n < uint32(os.Getpagesize())) {
		err = fmt.Errorf("%s=%d: is not a power of two of at least a page (%d)", variable, n, os.Getpagesize())
	}
	return n, err
}

// recordingsDirectory returns the directory in NETZERO_RECORDINGS, or "" if the variable is not set.
func recordingsDirectory(resolve func(path string) string) (string, error) {
	dir := os.Getenv("NETZERO_RECORDINGS")
	if dir == "" {
		return "", nil
	}
	full := resolve(dir)
	if info, err := os.Stat(full); err != nil || !info.IsDir() {
		return "", fmt.Errorf("NETZERO_RECORDINGS=%q: is not an existing directory: make it first", dir)
	}
	return full, nil
}
