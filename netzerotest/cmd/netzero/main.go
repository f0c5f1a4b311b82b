//go:build !netzero_helper

// Netzero is the command of this project.
//
//	go get -tool github.com/netzero-dev/netzero/netzerotest/cmd/netzero
//	go tool netzero exec -h
package main

import (
	"os"

	"github.com/netzero-dev/netzero/internal/command"
)

func main() { os.Exit(command.Main(os.Args[1:])) }
