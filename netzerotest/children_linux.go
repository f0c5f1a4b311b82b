package netzerotest

import (
	"fmt"
	"os"
	"strings"

	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
)

// outlived are the processes that recorded tests have started and that lived when the capture ended. The kernel's table of them
// ends with the capture. Guarded by shared.
var outlived []child

type child struct {
	pid       int
	started   string // by which a process is told from a later one of its number
	recording goroutine.ID
}

// keepChildren remembers whose children live on, before the capture ends. The caller holds shared.
func (c *capture) keepChildren() error {
	outlived = nil
	if c.session.Self.PID != os.Getpid() {
		return nil // in another pid namespace than the kernel's numbers
	}
	children, err := c.session.Probe.Children()
	for pid, recording := range children {
		if started := startOf(pid); started != "" {
			outlived = append(outlived, child{pid, started, recording})
		}
	}
	return err
}

// takeChildren tells a new capture's programs whose those are that live still, and what they have started. The caller holds
// shared.
func (c *capture) takeChildren() error {
	if c.session.Self.PID != os.Getpid() {
		return nil
	}
	taken := make(map[int]bool)
	for _, o := range outlived {
		taken[o.pid] = true
	}
	for _, o := range outlived {
		if startOf(o.pid) != o.started {
			continue
		}
		if err := c.session.Probe.OwnChild(o.pid, o.recording); err != nil {
			return err
		}
		for _, pid := range endpoint.Descendants(o.pid) {
			if taken[pid] {
				continue
			}
			if err := c.session.Probe.OwnChild(pid, o.recording); err != nil {
				return err
			}
		}
	}
	return nil
}

// startOf returns when a process was started, in clock ticks since boot (proc(5), field 22); "" where there is none.
func startOf(pid int) string {
	const field = 22 - 3 // the first one behind the name is the third
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= field {
		return ""
	}
	return fields[field]
}
