// Package setup installs and removes what lets the members of a group record without root: the group, and the helper of
// package launcher with file capabilities.
//
// It changes nothing but the group, its members and the helper's directory. It needs root and Linux, and refuses a file
// system on which the helper would have no capabilities.
package setup

import (
	"fmt"

	"github.com/netzero-dev/netzero/internal/ways"
)

// Installation is a helper, and the group whose members may run it.
type Installation struct {
	Helper string // its path; its directory belongs to it alone
	Group  string
	Report func(change string) // is called for each change, and for each part that needs none
}

// Default returns the installation that `netzero exec` finds.
func Default(report func(string)) Installation {
	return Installation{Helper: ways.HelperPath, Group: "netzero", Report: report}
}

func (i Installation) reportf(format string, args ...any) { i.Report(fmt.Sprintf(format, args...)) }
