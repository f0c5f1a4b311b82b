package docker

import (
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"strings"

	"github.com/moby/moby/client"
)

// watcherPrefix starts the abstract names of the sockets with which watchers connect to their engines. The name shows
// other processes that this client starts no containers.
const watcherPrefix = "@netzero-watcher-"

// IsWatcher reports whether a Unix socket with this name is a [Watcher]'s connection to its engine, in any process.
func IsWatcher(name string) bool { return strings.HasPrefix(name, watcherPrefix) }

// IsSearching reports whether this process searches for an engine with sockets that [IsWatcher] does not know.
func IsSearching() bool { return searching.Load() > 0 }

// named returns a copy of a client with connections that [IsWatcher] knows, if the engine has a Unix socket.
func named(c *client.Client) (*client.Client, error) {
	host := c.DaemonHost()
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "unix" {
		return c, nil
	}
	defer c.Close()
	return client.New(client.FromEnv, client.WithHost(host),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.UnixAddr{Name: watcherPrefix + rand.Text(), Net: "unix"}}
			return d.DialContext(ctx, "unix", u.Path)
		}))
}
