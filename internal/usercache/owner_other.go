//go:build !unix

package usercache

import "io/fs"

// A user's directory for caches is in the user's profile.
func isOwn(fs.FileInfo) bool              { return true }
func isWritableByOthers(fs.FileInfo) bool { return false }
