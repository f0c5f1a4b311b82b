//go:build !linux

package gotest

import "os"

// behindGoTest returns the terminal, or nil if the output is not hidden or there is no terminal.
func behindGoTest() *os.File {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return nil
	}
	return tty
}
