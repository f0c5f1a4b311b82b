package golden

import (
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"syscall"
)

// sudoUser returns the user who called sudo, or nil if this process is not root under sudo.
func sudoUser() (*owner, error) {
	uid, gid := os.Getenv("SUDO_UID"), os.Getenv("SUDO_GID")
	if os.Geteuid() != 0 || uid == "" || gid == "" {
		return nil, nil
	}
	u, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read SUDO_UID: %w", err)
	}
	g, err := strconv.ParseUint(gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read SUDO_GID: %w", err)
	}
	return &owner{int(u), int(g)}, nil
}

// keepOwner returns the owner for a file that replaces an old one: the old owner, if root can give it away. A file of
// root goes to the user who called sudo: it comes from an earlier run without sudo.
func keepOwner(old fs.FileInfo, user *owner) *owner {
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || stat.Uid == 0 {
		return user
	}
	return &owner{int(stat.Uid), int(stat.Gid)}
}
