//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package golden

import "sync"

var updating sync.Mutex

// lock waits for others of this process only: nothing is recorded on this system, and so no golden file changes.
func lock(string) (unlock func(), err error) {
	updating.Lock()
	return updating.Unlock, nil
}
