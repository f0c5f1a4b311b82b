package probe

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// hugePages counts the probes that read the goroutines of this process, and holds the setting from before.
var hugePages struct {
	sync.Mutex
	probes int
	before int
}

// disableHugePages keeps the kernel from collapsing this process's memory into huge pages. The kernel unmaps memory for
// a moment while it collapses it. A program cannot wait for a page fault, so it could not attribute a flow then. Child
// processes inherit the setting until the last probe is closed; it costs them at most a little speed.
func disableHugePages() error {
	hugePages.Lock()
	defer hugePages.Unlock()
	if hugePages.probes == 0 {
		before, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
		if err != nil {
			return fmt.Errorf("read transparent huge pages setting: %w", err)
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

// restoreHugePages undoes one call of disableHugePages.
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
		return fmt.Errorf("write transparent huge pages setting: %w", err)
	}
	return nil
}
