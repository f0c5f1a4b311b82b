package goroutine

import (
	"runtime"
	_ "unsafe" // for go:linkname

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// Frames returns the calls behind return addresses, innermost first, including inlined ones.
func Frames(addresses []uintptr) []flow.Frame {
	var expanded []uintptr
	for _, a := range addresses {
		expanded = append(expanded, expand([]uintptr{a})...)
	}
	if len(expanded) == 0 {
		return nil
	}
	var all []flow.Frame
	for frames := runtime.CallersFrames(expanded); ; {
		f, more := frames.Next()
		if f.Function != "" {
			all = append(all, flow.Frame{Function: f.Function, File: f.File, Line: f.Line})
		}
		if !more {
			return all
		}
	}
}

// expand expands the last address to all calls that were inlined there; the runtime offers it to profilers. Frame
// pointers know no inlined calls, and runtime.CallersFrames expects expanded addresses.
//
//go:linkname expand runtime/pprof.runtime_expandFinalInlineFrame
func expand(addresses []uintptr) []uintptr
