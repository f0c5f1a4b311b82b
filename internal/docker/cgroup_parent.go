package docker

import (
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

// SetCgroupParent makes each container of a request of testcontainers-go start below a cgroup that choose returns, in
// the form of [Engine.CgroupParent], unless the request names one already. choose is called for each container, perhaps
// for several at the same time.
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

// applyDeprecated does what testcontainers-go does for a request without a modifier.
func applyDeprecated(req *testcontainers.ContainerRequest, h *container.HostConfig) {
	h.AutoRemove, h.Privileged, h.ShmSize = req.AutoRemove, req.Privileged, req.ShmSize
	h.CapAdd, h.CapDrop = req.CapAdd, req.CapDrop
	h.Binds, h.ExtraHosts = req.Binds, req.ExtraHosts
	h.NetworkMode, h.Resources = req.NetworkMode, req.Resources
}

// CgroupParent returns a cgroup below the root of the cgroup tree as the engine's driver names it. Its directory there
// has the same name. The argument must not contain dashes: systemd nests slices by them.
func (e Engine) CgroupParent(name string) string {
	if e.CgroupDriver == "systemd" {
		return name + ".slice"
	}
	return "/" + name
}
