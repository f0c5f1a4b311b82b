package docker

import (
	"context"
	"net"
	"net/url"
	"sync"
	"syscall"

	"github.com/moby/moby/client"
)

// own are the sockets by which watchers of this process talk to engines.
var own sync.Map

// IsOwn reports whether a Unix socket, by its inode, is one by which a [Watcher] of this process talks to its engine.
func IsOwn(inode uint64) bool {
	_, is := own.Load(inode)
	return is
}

// IsSearching reports whether this process is looking for an engine by sockets that [IsOwn] does not know.
func IsSearching() bool { return searching.Load() > 0 }

// noted returns a client that is like another one, and whose connections [IsOwn] knows, where the engine has a Unix socket.
func noted(c *client.Client) (*client.Client, error) {
	host := c.DaemonHost()
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "unix" {
		return c, nil
	}
	defer c.Close()
	return client.New(client.FromEnv, client.WithHost(host), client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialNoted(ctx, u.Path)
	}))
}

// dialNoted connects to a Unix socket by one that [IsOwn] knows before it is connected, and until it is closed.
func dialNoted(ctx context.Context, path string) (net.Conn, error) {
	var inode uint64
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			var s syscall.Stat_t
			if syscall.Fstat(int(fd), &s) == nil {
				inode = s.Ino
				own.Store(inode, true)
			}
		})
	}}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		own.Delete(inode)
		return nil, err
	}
	return &ownConn{conn, inode}, nil
}

type ownConn struct {
	net.Conn
	inode uint64
}

func (c *ownConn) Close() error {
	own.Delete(c.inode) // before: then the number may be another's
	return c.Conn.Close()
}
