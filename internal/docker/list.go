package docker

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// listContainers records all existing containers. The engine lists them without waiting for any; each one is inspected
// in addition.
func (w *Watcher) listContainers(ctx context.Context) error {
	asked := monotonicNow()
	var list client.ContainerListResult
	err := w.call(ctx, "list containers", func(ctx context.Context) (err error) {
		list, err = w.client.ContainerList(ctx, client.ContainerListOptions{All: true})
		return err
	})
	if err != nil {
		return err
	}
	answered := monotonicNow()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range list.Items {
		running := c.State == container.StateRunning || c.State == container.StatePaused
		r, known := w.containers[c.ID], true
		if r == nil {
			r, known = w.record(c.ID), false
		}
		if known && r.served > 0 && running == (r.Started != 0 && r.Ended == 0) {
			continue
		}
		if !known {
			w.summarize(r, c, asked, answered)
		}
		w.inspect(r)
	}
	return nil
}

// summarize records a list entry of a container. The lock is held.
func (w *Watcher) summarize(r *record, c container.Summary, asked, answered time.Duration) {
	if len(c.Names) > 0 {
		r.Name = strings.TrimPrefix(c.Names[0], "/")
	}
	r.Image, r.Command, r.Labels, r.Session = c.Image, c.Command, c.Labels, c.Labels[labelSession]
	r.NetworkMode = c.HostConfig.NetworkMode
	if r.NetworkMode == "default" {
		r.NetworkMode = "bridge"
	}
	r.Created = w.clock.convert(c.Created * int64(time.Second))
	if c.NetworkSettings == nil {
		return
	}
	var with []*attachment
	for name, s := range c.NetworkSettings.Networks {
		if s == nil {
			continue
		}
		if a := r.attach(endpointOf(name, s), asked, answered); a != nil {
			with = append(with, a)
		}
	}
	var ports []Port
	for _, p := range c.Ports {
		if p, ok := portOf(p.IP, strconv.Itoa(int(p.PublicPort)), p.PrivatePort, p.Type); ok {
			ports = append(ports, p)
		}
	}
	r.publish(ports, with, asked)
}
