package recorder

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// patience is the number of attempts: other processes may start containers.
const patience = 100

// What is attached stays between two recordings, unless a container may have started there.
func TestIdle_StaysAttached(t *testing.T) {
	testenv.RequireRoot(t)
	defer closeIdle()
	parent := currentCgroup(t)
	for _, row := range []struct {
		name    string
		between func(t *testing.T)
		sizes   probe.Sizes // of the second recording
		stays   bool
	}{
		{name: "nothing", stays: true},
		{name: "connection", between: connect, stays: true},
		{name: "cgroup", between: makeCgroup(parent, "netzero-test.scope"), stays: true},
		{name: "container", between: makeCgroup(parent, "docker-"+strings.Repeat("0123456789abcdef", 4)+".scope")},
		{name: "other sizes", sizes: probe.Sizes{MaxFlows: 4096}},
		{name: "unrecorded", between: func(*testing.T) { Unrecorded(func() {}) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			stayed := false
			for range patience {
				first := recordNothing(t, probe.Sizes{})
				if row.between != nil {
					row.between(t)
				}
				stayed = recordNothing(t, row.sizes) == first
				if stayed == row.stays {
					return
				}
			}
			t.Errorf("two recordings have the same cgroup: got %v, want %v", stayed, row.stays)
		})
	}
}

func TestIdle_EndsWithTests(t *testing.T) {
	testenv.RequireRoot(t)
	for attempt := 0; !cgroup.InLeaf(); attempt++ {
		if attempt == patience {
			t.Fatal("the process has left its cgroup before the end")
		}
		recordNothing(t, probe.Sizes{})
	}
	closeIdle()
	if cgroup.InLeaf() {
		t.Error("the process is still in its cgroup at the end")
	}
	rec, err := Join(probe.Sizes{}, Options{Test: t.Name(), Announce: func(text string) { t.Log(text) }}) // without an end
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Close(); err != nil {
		t.Error(err)
	}
	if cgroup.InLeaf() {
		t.Error("the process is still in its cgroup after a recording without a known end")
	}
}

// recordNothing makes a recording, and returns the ID of the cgroup in which it was made.
func recordNothing(t *testing.T, sizes probe.Sizes) uint64 {
	t.Helper()
	rec, err := Join(sizes, Options{Test: t.Name(), AtEnd: func(func()) {}, Announce: func(text string) { t.Log(text) }})
	if err != nil {
		t.Fatal(err)
	}
	id, err := cgroup.ID(currentCgroup(t))
	if err != nil {
		t.Error(err)
	}
	if err := rec.Unmark(); err != nil {
		t.Error(err)
	}
	if err := rec.Close(); err != nil {
		t.Error(err)
	}
	return id
}

func currentCgroup(t *testing.T) string {
	t.Helper()
	tree, err := cgroup.FindTree()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := tree.Current()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// connect connects to a server of this process.
func connect(t *testing.T) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// makeCgroup makes and removes a cgroup.
func makeCgroup(parent, name string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
}
