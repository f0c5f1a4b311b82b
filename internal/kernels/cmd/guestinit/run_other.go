//go:build !linux

package main

import "os"

func run() { os.Exit(2) }
