//go:build !linux

package docker

import "github.com/moby/moby/client"

func named(c *client.Client) (*client.Client, error) { return c, nil }
