// Netlab runs a command inside a small real internet of its own. All of it is in package netlab; netlab -h explains.
package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/testnet/netlab"
)

func main() { os.Exit(netlab.Main()) }
