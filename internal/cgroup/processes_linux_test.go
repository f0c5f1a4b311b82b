package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestProcesses_CompleteOrError(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := FindTree()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := NewLeaf(tree)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := leaf.Leave(); err != nil {
			t.Error(err)
		}
	}()
	if err := leaf.Move(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	threaded := filepath.Join(leaf.Path, "threaded")
	if err := os.Mkdir(threaded, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(threaded)
	if err := os.WriteFile(filepath.Join(threaded, "cgroup.type"), []byte("threaded"), 0o644); err != nil {
		t.Fatal(err)
	}
	if all, err := leaf.Processes(); err != nil || !slices.Equal(all, []int{os.Getpid()}) {
		t.Errorf("got %v, %v, want this process", all, err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 3, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	all, err := leaf.Processes()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("without file descriptors: got %v, %v", all, err)
	}
}
