//go:build netzero_helper

package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/launcher"
)

// With the build tag netzero_helper this program is the small helper that `netzero setup` installs, and that an image
// for a container engine consists of.
func main() { os.Exit(launcher.Launcher(nil).Main(os.Args[1:])) }
