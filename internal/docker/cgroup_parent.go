package docker

import (
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

// SetCgroupParent makes each container of a request of testcontainers-go start in a cgroup that choose returns, unless
// the request has a cgroup already. The name has the form of [Engine.CgroupParent]. choose is called for each
// container, and may be called at once for several.
func SetCgroupParent(req *testcontainers.ContainerRequest, choose func() string) {
	modify := req.HostConfigModifier
	if modify == nil {
		modify = func(h *container.HostConfig) { applyDeprecated(req, h) }
	}
	req.HostConfigModifier = func(h *container.HostConfig) {
		if modify(h); h.CgroupParent == "" {
			h.CgroupParent = choose()
		}
	}
}

// applyDeprecated does what testcontainers-go does for a request without a modifier. One with access to ports of the
// test process has a modifier of testcontainers-go, which replaces these fields.
func applyDeprecated(req *testcontainers.ContainerRequest, h *container.HostConfig) {
	if len(req.HostAccessPorts) > 0 {
		return
	}
	h.AutoRemove, h.Privileged, h.ShmSize = req.AutoRemove, req.Privileged, req.ShmSize
	h.CapAdd, h.CapDrop = req.CapAdd, req.CapDrop
	h.Binds, h.ExtraHosts = req.Binds, req.ExtraHosts
	h.NetworkMode, h.Resources = req.NetworkMode, req.Resources
}

// CgroupParent returns a cgroup below the root of the cgroup tree, as a container's CgroupParent. Its directory there
// has the same name. The name must not contain dashes, with which systemd's slices are nested.
func (e Engine) CgroupParent(name string) string {
	if e.CgroupDriver == "systemd" {
		return name + ".slice"
	}
	return "/" + name
}
