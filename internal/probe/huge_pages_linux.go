package probe

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// readable is how many probes read the goroutines of this process, and whether it had no huge pages before.
var readable struct {
	sync.Mutex
	probes int
	before int
}

// keepReadable keeps the kernel from collecting memory of this process in huge pages: what is being collected is unmapped
// meanwhile, and the programs, which cannot wait for it, would not know whose a flow is. Processes that are started
// until the last probe is closed inherit that; all they can lose is a little speed.
func keepReadable() error {
	readable.Lock()
	defer readable.Unlock()
	if readable.probes == 0 {
		before, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
		if err != nil {
			return fmt.Errorf("ask whether the process has huge pages: %w", err)
		}
		if before == 0 {
			if err := setHugePages(false); err != nil {
				return err
			}
		}
		readable.before = before
	}
	readable.probes++
	return nil
}

// letGo undoes what keepReadable has done once.
func letGo() error {
	readable.Lock()
	defer readable.Unlock()
	readable.probes--
	if readable.probes > 0 || readable.before != 0 {
		return nil
	}
	return setHugePages(true)
}

func setHugePages(on bool) error {
	disable := uintptr(1)
	if on {
		disable = 0
	}
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, disable, 0, 0, 0); err != nil {
		return fmt.Errorf("set whether the process has huge pages: %w", err)
	}
	return nil
}
