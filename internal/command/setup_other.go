//go:build !linux

package command

import "errors"

func (c *call) setUp() int {
	return c.fail(statusFailed, errors.New("the helper is for Linux; here tests are recorded in a container engine's "+
		"Linux, which needs no setup: go tool netzero test ./..."))
}

func (c *call) removeSetup() int {
	if !removeOwn(c.stdout, c.stderr) {
		return statusFailed
	}
	return statusOK
}
