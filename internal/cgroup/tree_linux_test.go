package cgroup

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindTree_Mountinfo(t *testing.T) {
	for _, row := range []struct {
		reason    string
		mountinfo string
		want      Tree
		err       error
	}{
		{"unified", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
			Tree{Root: "/sys/fs/cgroup", from: "/"}, nil},
		{"hybrid, the v1 controllers before it", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
			Tree{Root: "/sys/fs/cgroup/unified", from: "/"}, nil},
		{"a part of the tree, as a container without a cgroup namespace sees it",
			"41 31 0:38 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n",
			Tree{Root: "/sys/fs/cgroup", from: "/docker/abc"}, nil},
		{"a space in the path", `41 31 0:38 / /mnt/my\040cgroups rw - cgroup2 none rw` + "\n",
			Tree{Root: "/mnt/my cgroups", from: "/"}, nil},
		{"the mount is read-only", "41 31 0:38 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n", Tree{}, ErrReadOnly},
		{"the file system is read-only", "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup ro\n", Tree{}, ErrReadOnly},
		{"a writable mount beside a read-only one",
			"41 31 0:38 / /a ro - cgroup2 cgroup rw\n42 31 0:38 / /b rw - cgroup2 cgroup rw\n",
			Tree{Root: "/b", from: "/"}, nil},
		{"v1 only", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", Tree{}, ErrNoTree},
		{"nothing", "", Tree{}, ErrNoTree},
		{"garbage", "cgroup2 - cgroup2\n - \n", Tree{}, ErrNoTree},
	} {
		got, err := findTree([]byte(row.mountinfo))
		if !errors.Is(err, row.err) {
			t.Errorf("%s: error %v, want %v", row.reason, err, row.err)
		}
		if diff := cmp.Diff(row.want, got, cmp.AllowUnexported(Tree{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

func TestCurrent_ContainsThisProcess(t *testing.T) {
	tree, err := FindTree()
	if err != nil {
		t.Skipf("no cgroup v2 here: %v", err)
	}
	dir, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	if pids := members(t, dir); !pids[os.Getpid()] {
		t.Errorf("%s does not hold process %d", dir, os.Getpid())
	}
	if _, err := (Tree{Root: tree.Root, from: "/elsewhere/deep"}).Current(); err == nil {
		t.Error("a mount that does not show our cgroup is no error")
	}
}

func TestBelow_RelativeToMount(t *testing.T) {
	for _, row := range []struct {
		reason, from, path string
		below              string
		upward, ok         bool
	}{
		{"the whole tree", "/", "/a/b", "a/b", false, true},
		{"its root", "/", "/", "", false, true},
		{"a part, which the process is in", "/docker/abc", "/docker/abc/d", "d", false, true},
		{"a part, which it is at the root of", "/docker/abc", "/docker/abc", "", false, true},
		{"another part", "/docker/abc", "/docker/abcd", "", false, false},
		{"above the mount", "/docker/abc", "/docker", "", false, false},
		{"the whole tree in a cgroup namespace of one's own", "/../..", "/", "", true, true},
		{"the same, and the process is below", "/../..", "/init", "", true, true},
		{"both lie above the namespace", "/../..", "/../../other", "other", false, true},
		{"the process is in a sibling of the namespace", "/", "/../other", "", false, false},
	} {
		below, upward, ok := Tree{from: row.from}.below(row.path)
		if below != row.below && ok || upward != row.upward || ok != row.ok {
			t.Errorf("%s: %q %t %t, want %q %t %t", row.reason, below, upward, ok, row.below, row.upward, row.ok)
		}
	}
}

func TestSearch_SameAsPath(t *testing.T) {
	tree, err := FindTree()
	if err != nil {
		t.Skipf("no cgroup v2 here: %v", err)
	}
	want, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tree.search(); err != nil || got != want {
		t.Errorf("search finds %s, %v; want %s", got, err, want)
	}
	if got, err := (Tree{Root: t.TempDir()}).search(); err == nil {
		t.Errorf("in an empty directory search finds %s", got)
	}
}
