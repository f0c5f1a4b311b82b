// Doctor prints what netzerotest can record on this machine, what is missing, and the command that mends it.
//
//	go run github.com/netzero-dev/netzero/netzerotest/doctor [-json]
//
// It takes the very steps that Record takes, and undoes them. Its exit status is 0 where recording is possible, 1 where it
// is not, and 2 where its arguments are wrong. go run makes 1 of every status but 0: a script that has to tell 1 from 2
// builds the doctor first.
package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/doctor"
)

func main() { os.Exit(doctor.Main(os.Args[1:], os.Stdout, os.Stderr)) }
