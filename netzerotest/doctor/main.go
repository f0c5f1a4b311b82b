// Doctor prints what netzerotest can record on this machine, what is missing, and the commands that fix it.
//
//	go run github.com/netzero-dev/netzero/netzerotest/doctor [-json]
//
// It takes the steps of Record and undoes them. The exit status is 0 if recording is possible, 1 if it is not, and 2 if
// the arguments are wrong. go run turns every status but 0 into 1: a script that distinguishes 1 from 2 has to build
// the doctor first.
package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/doctor"
)

func main() { os.Exit(doctor.Main(os.Args[1:], os.Stdout, os.Stderr)) }
