package flow

import "strings"

// Frame is one call on the stack of the goroutine that opened a flow. Frames are comparable.
type Frame struct {
	Function string // with the import path of its package: "net/http.(*Client).Do"
	File     string // the source file, as the compiler recorded it: usually an absolute path
	Line     int    // from 1; 0 if unknown

	// Started is true for a go statement. It started the goroutine of the frames before it.
	Started bool
	// Ended marks a go statement of a goroutine that had ended before its caller was looked for. The frames after it
	// belong to the goroutine that waited soon afterwards, so they are probable, not certain.
	Ended bool
}

// Package returns the import path of the function's package: "net/http".
func (f Frame) Package() string {
	slash := strings.LastIndexByte(f.Function, '/') + 1
	if i := strings.IndexByte(f.Function[slash:], '.'); i >= 0 {
		return strings.ReplaceAll(f.Function[:slash+i], "%2e", ".")
	}
	return f.Function
}

// In reports whether the function belongs to a module, given by its path ("example.com/shop"): to one of its packages
// or to an external test package (package shop_test). No function belongs to the module "".
func (f Frame) In(module string) bool {
	path := strings.TrimSuffix(f.Package(), "_test")
	return module != "" && (path == module || strings.HasPrefix(path, module+"/"))
}
