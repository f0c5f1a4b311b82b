package flow

import (
	"strconv"
	"strings"
)

// Stack is the calls that led to a flow, from the innermost outward: a line each, so that it can be compared. [Stack.Frames]
// takes it apart.
type Stack string

// Frame is a call on a stack.
type Frame struct {
	Function string // with the import path of its package: "net/http.(*Client).Do"
	File     string // as the compiler saw it
	Line     int
	Started  bool // it is a go statement, which started the goroutine of the calls before it
	Ended    bool // that had ended before its caller was looked for: the calls behind are of who waited soon after
}

const startedBy, ended = "started by ", "and ended, "

// NewStack returns the stack of these calls.
func NewStack(frames []Frame) Stack {
	var b strings.Builder
	for _, f := range frames {
		if f.Ended {
			b.WriteString(ended)
		}
		if f.Started {
			b.WriteString(startedBy)
		}
		b.WriteString(f.Function + "\t" + f.File + ":" + strconv.Itoa(f.Line) + "\n")
	}
	return Stack(b.String())
}

// Frames returns the calls.
func (s Stack) Frames() []Frame {
	var frames []Frame
	for line := range strings.Lines(string(s)) {
		function, place, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		var f Frame
		function, f.Ended = strings.CutPrefix(function, ended)
		f.Function, f.Started = strings.CutPrefix(function, startedBy)
		if i := strings.LastIndexByte(place, ':'); i >= 0 {
			f.File = place[:i]
			f.Line, _ = strconv.Atoi(place[i+1:])
		}
		frames = append(frames, f)
	}
	return frames
}

// Package returns the import path of the package of a call.
func (f Frame) Package() string {
	slash := strings.LastIndexByte(f.Function, '/') + 1
	if i := strings.IndexByte(f.Function[slash:], '.'); i >= 0 {
		return strings.ReplaceAll(f.Function[:slash+i], "%2e", ".")
	}
	return f.Function
}

// In reports whether a call is in a module, given by its path: in one of its packages, or in tests beside them.
func (f Frame) In(module string) bool {
	path := strings.TrimSuffix(f.Package(), "_test")
	return module != "" && (path == module || strings.HasPrefix(path, module+"/"))
}
