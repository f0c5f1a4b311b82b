package goroutine

import (
	"runtime/debug"
	"sync"
)

// Module returns the path of the main module. In a test that is the module under test.
var Module = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path != "" {
		return info.Main.Path
	}
	return "command-line-arguments"
})
