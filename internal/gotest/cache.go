package gotest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
)

var preventCaching sync.Once

// PreventCaching keeps go test from caching this run. It is for a run that depends on something outside of the cache's
// key, such as privileges.
//
// The key contains the files that a test opens within its module, and go test does not cache a run that opened a file
// modified just before. Files below /proc are always new. The path starts within the module and leads there.
func (s Source) PreventCaching() {
	preventCaching.Do(func() {
		up := strings.Repeat("/..", strings.Count(filepath.ToSlash(string(s)), "/"))
		if f, err := os.Open(string(s) + up + "/proc/self/stat"); err == nil {
			f.Close()
		}
	})
}
