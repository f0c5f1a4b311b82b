package probe

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The programs do not read the executable of the test process. The probe sets the name that they would have read.
func TestExecutables_TestProcess(t *testing.T) {
	r := newRig(t, Sizes{})
	layout, err := taskLayout()
	check(t, err)
	path, err := os.Executable()
	check(t, err)
	want := filepath.Base(path)
	if layout.Name == 0 { // without BTF
		want = ""
	}
	r.clear()
	udp := silent(t, "udp4", "127.0.0.1:0")
	r.clear() // including the bind
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	defer unix.Close(fd)
	check(t, unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrInet4{Addr: udp.Addr().As4(), Port: int(udp.Port())}))
	storm(t, 1)
	events := seen[*FlowEvent](r)
	if len(events) != 2 {
		t.Errorf("%d flows, want 2", len(events))
	}
	for _, e := range events {
		if e.Executable != want {
			t.Errorf("%s: executable %q, want %q", e.Protocol, e.Executable, want)
		}
	}
}
