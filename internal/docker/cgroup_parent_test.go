package docker

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/testcontainers/testcontainers-go"
)

func TestCgroupParent_KeepsRequest(t *testing.T) {
	deprecated := testcontainers.ContainerRequest{
		AutoRemove: true, Privileged: true, ShmSize: 1, CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"CHOWN"},
		Binds: []string{"/a:/b"}, ExtraHosts: []string{"a:127.0.0.1"}, NetworkMode: "host",
	}
	deprecated.Resources.Memory = 2
	want := container.HostConfig{
		AutoRemove: true, Privileged: true, ShmSize: 1, CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"CHOWN"},
		Binds: []string{"/a:/b"}, ExtraHosts: []string{"a:127.0.0.1"}, NetworkMode: "host",
	}
	want.Memory, want.CgroupParent = 2, "ours"
	for _, row := range []struct {
		reason string
		req    testcontainers.ContainerRequest
		want   container.HostConfig
	}{
		{"the deprecated fields, which a modifier switches off", deprecated, want},
		{
			"a modifier",
			testcontainers.ContainerRequest{HostConfigModifier: func(h *container.HostConfig) { h.Init = new(bool) }},
			container.HostConfig{Init: new(bool), Resources: container.Resources{CgroupParent: "ours"}},
		},
		{
			"a cgroup of the user",
			testcontainers.ContainerRequest{HostConfigModifier: func(h *container.HostConfig) { h.CgroupParent = "theirs" }},
			container.HostConfig{Resources: container.Resources{CgroupParent: "theirs"}},
		},
	} {
		SetCgroupParent(&row.req, func() string { return "ours" })
		var got container.HostConfig
		row.req.HostConfigModifier(&got)
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// The options of a call may follow that of a recording.
func TestCgroupParent_ReadsRequestLast(t *testing.T) {
	var req testcontainers.ContainerRequest
	SetCgroupParent(&req, func() string { return "ours" })
	req.Privileged = true
	var got container.HostConfig
	if req.HostConfigModifier(&got); !got.Privileged {
		t.Error("a field that was set later is lost")
	}
}

func TestCgroupParent_Drivers(t *testing.T) {
	for driver, want := range map[string]string{"cgroupfs": "/netzero_1", "systemd": "netzero_1.slice"} {
		if got := (Engine{CgroupDriver: driver}).CgroupParent("netzero_1"); got != want {
			t.Errorf("%s: %q, want %q", driver, got, want)
		}
	}
}
