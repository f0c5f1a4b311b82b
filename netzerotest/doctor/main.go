// Doctor prints what netzerotest can record on this machine, what is missing, and the command that fixes it.
//
//	go run github.com/netzero-dev/netzero/netzerotest/doctor [-json]
//
// It takes the same steps as Record, and undoes them. Its exit status is 0 if recording is possible, 1 if it is not,
// and 2 for wrong arguments. go run turns every status but 0 into 1: a script that has to distinguish 1 from 2 builds
// the doctor first.
package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/doctor"
)

func main() { os.Exit(doctor.Main(os.Args[1:], os.Stdout, os.Stderr)) }
