package goroutine

import (
	"runtime/debug"
	"sync"
)

// Module returns the path of the main module: in a test, of the one that is tested.
var Module = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Path != "" {
		return info.Main.Path
	}
	return "command-line-arguments"
})
