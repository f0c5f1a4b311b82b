package docker

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDsFromCgroup(t *testing.T) {
	a, b := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	for _, c := range []struct {
		reason, path string
		want         []string
	}{
		{"cgroupfs", "/docker/" + a, []string{a}},
		{"cgroupfs, a cgroup that the container made", "/docker/" + a + "/init.scope", []string{a}},
		{"systemd", "/system.slice/docker-" + a + ".scope", []string{a}},
		{"systemd, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + a + ".scope",
			[]string{a}},
		{"Podman", "/machine.slice/libpod-" + a + ".scope/container", []string{a}},
		{"Podman's monitor is not in the container", "/machine.slice/libpod-conmon-" + a + ".scope", nil},
		{"Docker in Docker", "/docker/" + a + "/docker/" + b, []string{a, b}},
		{"Docker in Kubernetes", "/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + a + ".scope/docker/" + b,
			[]string{a, b}},
		{"a parent of the user's", "/ci/job-7/" + a, []string{a}},
		{"runc's form without systemd", "/system.slice:docker:" + a, []string{a}},
		{"too short", "/docker/" + a[1:], nil},
		{"too long", "/docker/" + a + "a", nil},
		{"capitals are no ID", "/docker/" + strings.ToUpper(a), nil},
		{"a service that is named so", "/system.slice/x-" + a + ".service", nil},
		{"no container", "/user.slice/session-1.scope", nil},
		{"the root", "/", nil},
		{"nothing", "", nil},
	} {
		if diff := cmp.Diff(c.want, IDsFromCgroup(c.path)); diff != "" {
			t.Errorf("%s: %s (-want +got)\n%s", c.reason, c.path, diff)
		}
	}
}
