package probe

import (
	"errors"
	"io/fs"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// Without CAP_SYS_PTRACE root may list the descriptors of root's other processes, but not see which are sockets. That
// is no process without sockets.
func TestEachSocket_RootWithoutPtrace(t *testing.T) {
	testenv.RequireRoot(t)
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	none := func(int) error { return nil }
	if err := eachSocket(cmd.Process.Pid, none); err != nil {
		t.Errorf("with the capability: %v", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var all, some [2]unix.CapUserData
	if err := unix.Capget(&header, &all[0]); err != nil {
		t.Fatal(err)
	}
	some = all
	some[0].Effective &^= 1 << unix.CAP_SYS_PTRACE
	if err := unix.Capset(&header, &some[0]); err != nil {
		t.Fatal(err)
	}
	err = eachSocket(cmd.Process.Pid, none)
	if restore := unix.Capset(&header, &all[0]); restore != nil {
		t.Fatal(restore)
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("without: %v", err)
	}
}
