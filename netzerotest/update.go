package netzerotest

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/settings"
)

// init declares the flag -update. A program that imports a package with tests keeps its own command line.
func init() {
	if testing.Testing() {
		testing.Init() // declares the flags of package testing; a second call has no effect
		settings.DeclareUpdate()
	}
}
