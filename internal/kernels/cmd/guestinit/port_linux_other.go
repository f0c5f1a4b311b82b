//go:build linux && !amd64

package main

import "errors"

func writeDebugPort(byte) error { return errors.ErrUnsupported }
