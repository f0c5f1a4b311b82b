//go:build linux && !amd64

package main

import "errors"

func allowDebugPort() error { return errors.ErrUnsupported }

func writeDebugPort(byte) {}
