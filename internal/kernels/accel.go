package kernels

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// Accel is QEMU's accelerator for the guests.
type Accel string

const (
	TCG  Accel = "tcg"  // emulation, which works everywhere
	KVM  Accel = "kvm"  // the host's CPU, for guests of its architecture
	Auto Accel = "auto" // KVM for guests with which it works, TCG for the others

	// Counted is emulation with a clock that counts the guest's instructions, a nanosecond for each. Times are then the
	// same whatever else the host does. It is for measurements only.
	Counted Accel = "counted"
)

// ParseAccel parses the name of an accelerator.
func ParseAccel(name string) (Accel, error) {
	switch a := Accel(name); a {
	case TCG, KVM, Auto:
		return a, nil
	}
	return "", fmt.Errorf("unknown accelerator %q: there are tcg, kvm and auto", name)
}

// choose returns the accelerator for the guests of an architecture: [TCG], [KVM] or [Counted]. kvm reports whether KVM
// works here.
func (a Accel) choose(arch, host Arch, kvm func() error) (Accel, error) {
	switch {
	case a == Counted:
		return Counted, nil
	case a != KVM && a != Auto:
		return TCG, nil
	case a == Auto && arch != host:
		return TCG, nil
	case arch != host:
		return "", fmt.Errorf("use KVM: it cannot run %s guests on %s: run these with -accel auto or tcg", arch, host)
	}
	err := kvm()
	switch {
	case err == nil:
		return KVM, nil
	case a == Auto:
		return TCG, nil
	}
	return "", fmt.Errorf("use KVM: %w: run with -accel auto or tcg", err)
}

// hostArch returns the architecture of this machine.
func hostArch() Arch { return Arch(runtime.GOARCH) }

// trialLimit limits a trial, which takes less than a second.
const trialLimit = 10 * time.Second

// try runs a few instructions in a guest. An existing /dev/kvm proves nothing: this process may not be allowed to open
// it, and in a virtual machine it may not work. A trial that passes does not prove that a whole kernel runs: where
// guests hang with KVM, the error names it, and TCG is the way out.
func try(ctx context.Context, arch Arch, accel Accel) error {
	m := machines[arch]
	file, err := os.CreateTemp("", "netzero-kernels-")
	if err != nil {
		return fmt.Errorf("write trial: %w", err)
	}
	defer os.Remove(file.Name())
	_, err = file.Write(m.trial())
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write trial: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, trialLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.program, append(m.arguments(accel), "-m", "64", "-bios", file.Name())...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	err = runBound(cmd)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run trial: the guest did not end within %v", trialLimit)
	case cmd.ProcessState == nil:
		return fmt.Errorf("run trial: %w", err)
	case cmd.ProcessState.ExitCode() != m.passed():
		return fmt.Errorf("run trial: %v: %s", cmd.ProcessState, bytes.TrimSpace(complaint.Bytes()))
	}
	return nil
}

// trial returns firmware that ends the machine at once, with the exit status of a successful run.
func (m machine) trial() []byte {
	firmware := make([]byte, 64<<10)
	if m.debugPort {
		// The CPU starts 16 bytes before the end: mov $Passed, %al; mov $DebugPort, %dx; out %al, (%dx); hlt.
		copy(firmware[len(firmware)-16:], []byte{0xb0, guest.Passed, 0xba, guest.DebugPort, 0, 0xee, 0xf4})
		return firmware
	}
	// PSCI's SYSTEM_OFF: mov w0, #8; movk w0, #0x8400, lsl #16; hvc #0; b .
	for i, instruction := range []uint32{0x52800100, 0x72b08000, 0xd4000002, 0x14000000} {
		binary.LittleEndian.PutUint32(firmware[4*i:], instruction)
	}
	return firmware
}
