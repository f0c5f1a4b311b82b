package docker

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	"github.com/testcontainers/testcontainers-go"
)

// minAPI is the version of Docker 20.10, the oldest one tested with this package.
const minAPI = "1.41"

// Engine describes an engine.
type Engine struct {
	Host          string // its address, such as "unix:///var/run/docker.sock"
	Name          string // such as "Docker Desktop 4.49.0", or just "Docker"
	Version       string // such as "20.10.24"
	API           string // such as "1.41"
	System        string // the operating system's name
	Rootless      bool   // container addresses are not reachable from the host; published ports are
	CgroupDriver  string // "cgroupfs", "systemd" or "none"
	CgroupVersion string // "1" or "2": the one that the engine uses, whatever else is mounted
}

// Endpoint is the address of an engine.
type Endpoint struct {
	Network string // "unix", "tcp", "npipe", "ssh"
	Address string // a path, or host:port
}

// Engine returns the engine's description.
func (w *Watcher) Engine() Engine { return w.engine }

// Kind returns the engine for messages, such as "Docker 20.10.24 (API 1.41, cgroupfs, cgroup v1)".
func (w *Watcher) Kind() string {
	e := w.engine
	facts := []string{"API " + e.API, e.CgroupDriver, "cgroup v" + e.CgroupVersion}
	if e.Rootless {
		facts = append(facts, "rootless")
	}
	return fmt.Sprintf("%s %s (%s)", e.Name, e.Version, strings.Join(facts, ", "))
}

// Endpoint returns the address of the engine, so that traffic to the engine can be distinguished from traffic to a
// peer. The host of a TCP endpoint may be a name.
func (w *Watcher) Endpoint() Endpoint {
	u, err := url.Parse(w.engine.Host)
	if err != nil || u.Scheme == "" {
		return Endpoint{Address: w.engine.Host}
	}
	network := u.Scheme
	if network == "http" || network == "https" {
		network = "tcp"
	}
	if u.Host == "" {
		return Endpoint{Network: network, Address: u.Path}
	}
	return Endpoint{Network: network, Address: u.Host}
}

// searching counts running searches for an engine. Testcontainers opens sockets for them that IsWatcher does not know.
var searching atomic.Int32

// find returns a client of the configured engine, or of the one that testcontainers finds. Testcontainers searches once
// per process and caches the result, errors too. So find does not cancel the search, which would leave the test without
// an engine that was merely slow: the search continues after find has returned that the engine stalled.
func find(ctx context.Context, c Config) (*client.Client, error) {
	if c.Host != "" {
		return client.New(client.FromEnv, client.WithHost(c.Host))
	}
	type found struct {
		client *client.Client
		err    error
	}
	done := make(chan found, 1)
	searching.Add(1)
	go func() {
		defer searching.Add(-1)
		tc, err := testcontainers.NewDockerClientWithOpts(context.WithoutCancel(ctx))
		if err != nil {
			done <- found{nil, err}
			return
		}
		known, err := named(tc.Client)
		done <- found{known, err}
	}()
	timer := time.NewTimer(c.Timeout)
	defer timer.Stop()
	select {
	case f := <-done:
		if f.err != nil {
			return nil, noEngine("the addresses that testcontainers tries (tc.host and docker.host in "+
				"~/.testcontainers.properties, DOCKER_HOST, "+
				"/var/run/docker.sock, the sockets of rootless Docker)", f.err)
		}
		return f.client, nil
	case <-timer.C:
		return nil, &StalledError{Host: "the address that testcontainers finds", Question: "the first request",
			After: c.Timeout}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func noEngine(where string, cause error) error {
	return fmt.Errorf("%w at %s: %w; start it (systemctl start docker), or set DOCKER_HOST to where it listens",
		ErrNoEngine, where, cause)
}

// identify queries the engine's version, and rejects engines that this package cannot follow.
func (w *Watcher) identify(ctx context.Context) error {
	host := w.client.DaemonHost()
	var ping client.PingResult
	err := w.call(ctx, "ping", func(ctx context.Context) (err error) {
		ping, err = w.client.Ping(ctx, client.PingOptions{})
		return err
	})
	var stalled *StalledError
	if err != nil && !errors.As(err, &stalled) && ctx.Err() == nil {
		return noEngine(host, err)
	}
	if err != nil {
		return err
	}
	if ping.APIVersion == "" || versions.LessThan(ping.APIVersion, minAPI) {
		return &UnsupportedError{fmt.Sprintf("the engine at %s (API %q)", host, ping.APIVersion),
			"it needs Docker 20.10 (API " + minAPI + ") or later"}
	}
	var version client.ServerVersionResult
	if err := w.call(ctx, "version", func(ctx context.Context) (err error) {
		version, err = w.client.ServerVersion(ctx, client.ServerVersionOptions{})
		return err
	}); err != nil {
		return err
	}
	for _, part := range version.Components {
		if strings.Contains(part.Name, "Podman") {
			return &UnsupportedError{
				fmt.Sprintf("%s %s at %s", part.Name, part.Version, host),
				"its events differ from Docker's; set DOCKER_HOST to a Docker engine",
			}
		}
	}
	return w.inform(ctx, version)
}

// inform queries cgroups, rootless mode and the engine's clock.
func (w *Watcher) inform(ctx context.Context, version client.ServerVersionResult) error {
	var answer client.SystemInfoResult
	before, wall := now()
	if err := w.call(ctx, "info", func(ctx context.Context) (err error) {
		answer, err = w.client.Info(ctx, client.InfoOptions{})
		return err
	}); err != nil {
		return err
	}
	after, _ := now()
	info := answer.Info
	host := w.client.DaemonHost()
	if info.OSType != "linux" {
		return &UnsupportedError{fmt.Sprintf("the engine at %s (%s containers)", host, info.OSType),
			"it needs an engine of Linux containers"}
	}
	w.engine = Engine{
		Host: host, Name: "Docker", Version: version.Version, API: version.APIVersion, System: info.OperatingSystem,
		Rootless: slices.ContainsFunc(info.SecurityOptions,
			func(o string) bool { return strings.HasPrefix(o, "name=rootless") }),
		CgroupDriver: info.CgroupDriver, CgroupVersion: info.CgroupVersion,
	}
	if version.Platform.Name != "" {
		w.engine.Name = version.Platform.Name
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock.update(before, wall)
	if at, err := time.Parse(time.RFC3339Nano, info.SystemTime); err == nil {
		// A time within the query's duration is of our clock.
		if at.Before(wall) || at.After(wall.Add(after-before)) {
			w.clock.skew = at.Sub(wall.Add((after - before) / 2))
		}
	}
	return nil
}
