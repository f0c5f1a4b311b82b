//go:build unix

package usercache

import (
	"io/fs"
	"os"
	"syscall"
)

// isOwn reports whether a file belongs to this user.
func isOwn(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// isWritableByOthers reports whether other users may write to a file.
func isWritableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }
