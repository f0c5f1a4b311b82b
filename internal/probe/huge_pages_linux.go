package probe

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// hugePages is how many probes read the goroutines of this process, and whether it had no huge pages before.
var hugePages struct {
	sync.Mutex
	probes int
	before int
}

// disableHugePages keeps the kernel from collecting memory of this process in huge pages: what is being collected is unmapped
// meanwhile, and the programs, which cannot wait for it, would not know whose a flow is. Processes that are started
// until the last probe is closed inherit that; all they can lose is a little speed.
func disableHugePages() error {
	hugePages.Lock()
	defer hugePages.Unlock()
	if hugePages.probes == 0 {
		before, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
		if err != nil {
			return fmt.Errorf("ask whether the process has huge pages: %w", err)
		}
		if before == 0 {
			if err := setHugePages(false); err != nil {
				return err
			}
		}
		hugePages.before = before
	}
	hugePages.probes++
	return nil
}

// restoreHugePages undoes what disableHugePages has done once.
func restoreHugePages() error {
	hugePages.Lock()
	defer hugePages.Unlock()
	hugePages.probes--
	if hugePages.probes > 0 || hugePages.before != 0 {
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
