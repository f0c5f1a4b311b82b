package docker

import (
	"context"
	"crypto/rand"
	"net"
	"net/url"
	"strings"

	"github.com/moby/moby/client"
)

// watcherPrefix begins the abstract names of the sockets by which watchers talk to their engines. By the name other processes know
// that theirs are no clients that start containers.
const watcherPrefix = "@netzero-watcher-"

// IsWatcher reports whether a Unix socket, by its name, is one by which a [Watcher] talks to its engine, of this process or another.
func IsWatcher(name string) bool { return strings.HasPrefix(name, watcherPrefix) }

// IsSearching reports whether this process is looking for an engine by sockets that [IsWatcher] does not know.
func IsSearching() bool { return searching.Load() > 0 }

// named returns a client that is like another one, and whose connections [IsWatcher] knows, where the engine has a Unix socket.
func named(c *client.Client) (*client.Client, error) {
	host := c.DaemonHost()
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "unix" {
		return c, nil
	}
	defer c.Close()
	return client.New(client.FromEnv, client.WithHost(host), client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.UnixAddr{Name: watcherPrefix + rand.Text(), Net: "unix"}}
		return d.DialContext(ctx, "unix", u.Path)
	}))
}
