package environments

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestEnvironments_UntilReboot changes the kernel until its next boot. It runs only in the guests of package kernels.
// This file must be the last one of the last package there.
func TestEnvironments_UntilReboot(t *testing.T) {
	if _, err := os.Stat(guest.PlanPath); err != nil {
		t.Skip("it changes the kernel until the next boot: " +
			"go run ./internal/kernels/cmd/testkernels -run TestEnvironments_UntilReboot")
	}
	user := environment{attributes: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}}
	for _, value := range []string{"0", "2", "1"} { // 1 is irreversible
		t.Run("unprivileged_bpf_disabled="+value, func(t *testing.T) {
			if err := os.WriteFile("/proc/sys/kernel/unprivileged_bpf_disabled", []byte(value), 0); err != nil {
				t.Fatal(err)
			}
			compare(t, "user", transcript(t, user.command))
			compare(t, "root-without-capabilities", transcript(t, environment{faults: bounded(nil)}.command))
			compare(t, "user-with-capabilities",
				transcript(t, environment{attributes: withCapabilities(ownCgroup(t, nobody), probe.Capabilities())}.command))
		})
	}
	mountSecurity(t)
	testenv.Recorded(t, "recording with lockdown=integrity")
	lockDown(t, "integrity")
	compare(t, "root", transcript(t, environment{}.command))
	testenv.FallsBack(t, "recording with lockdown=confidentiality", unnamed)
	lockDown(t, "confidentiality")
	compare(t, "lockdown", transcript(t, environment{}.command))
}

// lockdown is the file with the state of the kernel's lockdown. Writing to it extends the lockdown.
const lockdown = "/sys/kernel/security/lockdown"

// mountSecurity mounts the file system that contains lockdown, and requires that the kernel is not locked down yet.
func mountSecurity(t *testing.T) {
	t.Helper()
	if err := unix.Mount("securityfs", filepath.Dir(lockdown), "securityfs", 0, ""); err != nil &&
		!errors.Is(err, unix.EBUSY) {
		t.Fatal(err)
	}
	if modes, err := os.ReadFile(lockdown); err != nil || !strings.HasPrefix(string(modes), "[none]") {
		t.Fatalf("lockdown is %s, %v", modes, err)
	}
}

func lockDown(t *testing.T, mode string) {
	t.Helper()
	if err := os.WriteFile(lockdown, []byte(mode), 0); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(lockdown); err != nil || !strings.Contains(string(text), "["+mode+"]") {
		t.Fatalf("lockdown is %s, %v", text, err)
	}
}
