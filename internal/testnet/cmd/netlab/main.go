// Netlab runs a command inside a small private internet. The code is in package netlab; netlab -h explains it.
package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/testnet/netlab"
)

func main() { os.Exit(netlab.Main()) }
