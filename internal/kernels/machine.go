package kernels

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

// machine is QEMU's configuration for an architecture.
type machine struct {
	program, debian string // QEMU, and its package in Debian
	console         string
	append          string   // to the kernel's command line
	devices         []string // QEMU's arguments, the same with each accelerator
	debugPort       bool     // the guest reports its exit status through it
	tcg, kvm        guestCPU
}

// guestCPU is the part of the configuration that depends on the accelerator.
type guestCPU struct {
	args   []string
	append string
}

// CPU features without which the kernel runs code that is faster under emulation:
//   - erms, fsrm and the kernel's own rep_good: it fills and copies memory with loops over words, which QEMU
//     translates in bulk, instead of single instructions, which QEMU repeats byte by byte or word by word;
//   - la57: it walks through four levels of page tables instead of five;
//   - smap: it does not open and close user memory around each access to it;
//   - xsave, avx, pku: a task switch saves fewer registers.
const (
	cpu     = "max,-erms,-fsrm,-smap,-la57,-pku,-avx,-avx2,-xsave"
	repGood = "112" // X86_FEATURE_REP_GOOD; kernels before 5.18 know features by number only
)

var machines = map[Arch]machine{
	AMD64: {
		program: "qemu-system-x86_64", debian: "qemu-system-x86", console: "ttyS0", debugPort: true,
		// On a busy machine the kernel's check of the timer fails, and it panics.
		append:  " no_timer_check",
		devices: []string{"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", guest.DebugPort)},
		tcg:     guestCPU{args: []string{"-cpu", cpu}, append: " clearcpuid=" + repGood},
		kvm:     guestCPU{args: []string{"-cpu", "host"}},
	},
	ARM64: {
		program: "qemu-system-aarch64", debian: "qemu-system-arm", console: "ttyAMA0",
		tcg: guestCPU{args: []string{"-machine", "virt", "-cpu", "cortex-a76"}},
		kvm: guestCPU{args: []string{"-machine", "virt,gic-version=host", "-cpu", "host"}},
	},
}

// FindQEMU returns an error if QEMU is not installed.
func FindQEMU(arch Arch) error {
	m := machines[arch]
	if _, err := exec.LookPath(m.program); err != nil {
		return fmt.Errorf("find %s: %w: run apt-get install --no-install-recommends %s", m.program, err, m.debian)
	}
	return nil
}

// outcome is the end of a guest's run.
type outcome struct {
	received []byte // over its serial line
	status   int    // of QEMU
	err      error  // it did not end by itself, or did not start
	took     time.Duration
	cpu      time.Duration
}

// arguments returns QEMU's arguments for a machine with this accelerator, without its memory and what it runs.
func (m machine) arguments(accel Accel) []string {
	// One CPU in one thread: with more, guests panic at random under emulation.
	name, cpu := "tcg,thread=single", m.tcg
	if accel == KVM {
		name, cpu = "kvm", m.kvm
	}
	args := []string{"-accel", name, "-smp", "1", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"}
	if accel == Counted {
		args = append(args, "-icount", "shift=0,sleep=off") // 2^0 ns for each instruction; an idle guest does not wait
	}
	return slices.Concat(args, cpu.args, m.devices)
}

// commandLine returns the kernel's command line.
func (m machine) commandLine(accel Accel) string {
	cpu := m.tcg
	if accel == KVM {
		cpu = m.kvm
	}
	// The kernel's log stays in its buffer, except for its last messages when it dies; a panic ends QEMU at once.
	return "console=" + m.console + " panic=-1 quiet loglevel=1 random.trust_cpu=on" + m.append + cpu.append
}

// boot runs a kernel until the guest ends, with a time limit.
func boot(ctx context.Context, arch Arch, accel Accel, kernel string, initramfs *os.File,
	limit time.Duration) outcome {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m := machines[arch]
	cmd := exec.CommandContext(ctx, m.program, append(m.arguments(accel),
		"-m", "1024", "-serial", "stdio", "-kernel", kernel, "-initrd", "/dev/fd/3",
		"-append", m.commandLine(accel))...)
	cmd.ExtraFiles = []*os.File{initramfs} // its descriptor 3
	var line, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &line, &complaint
	start := time.Now()
	err := runBound(cmd)
	o := outcome{received: line.Bytes(), status: -1, took: time.Since(start)}
	if cmd.ProcessState != nil {
		o.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		o.err = fmt.Errorf("the guest did not end within %v, with %s", limit, cmp.Or(accel, TCG))
	case ctx.Err() != nil:
		o.err = ctx.Err()
	case err == nil:
		o.status = 0
	case errors.As(err, &exit) && exit.Exited() && complaint.Len() == 0:
		o.status = exit.ExitCode()
	default:
		o.err = fmt.Errorf("run %s: %w: %s", m.program, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return o
}

// passed is QEMU's exit status after a successful run.
func (m machine) passed() int {
	if m.debugPort {
		return guest.PassedStatus
	}
	return 0
}
