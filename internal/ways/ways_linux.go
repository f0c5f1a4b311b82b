package ways

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// isLikely reports whether the helper, the engine or sudo seems to work for this user.
func isLikely() bool {
	return unix.Access(HelperPath, unix.X_OK) == nil || mayUseEngine() || hasSudo()
}

// mayUseEngine reports whether this user may connect to an engine.
func mayUseEngine() bool {
	socket, isUnix := strings.CutPrefix(cmp.Or(os.Getenv("DOCKER_HOST"), "unix:///var/run/docker.sock"), "unix://")
	return !isUnix || unix.Access(socket, unix.W_OK) == nil
}

// hasSudo reports whether sudo is installed, and may make this process's children root.
func hasSudo() bool {
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || set != 0 {
		return false
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if unix.Access(filepath.Join(dir, "sudo"), unix.X_OK) == nil {
			return true
		}
	}
	return false
}
