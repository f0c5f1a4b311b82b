package kernels

import (
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestAccel_Choice(t *testing.T) {
	works := func() error { return nil }
	broken := errors.New("no such device")
	fails := func() error { return broken }
	for _, row := range []struct {
		reason     string
		requested  Accel
		arch, host Arch
		try        func() error
		want       Accel
		wantErr    string
	}{
		{"emulation is the default", "", AMD64, AMD64, works, TCG, ""},
		{"emulation although KVM works", TCG, AMD64, AMD64, works, TCG, ""},
		{"KVM works", KVM, AMD64, AMD64, works, KVM, ""},
		{"KVM works, found by trying", Auto, ARM64, ARM64, works, KVM, ""},
		{"KVM does not work", KVM, AMD64, AMD64, fails, "", "use KVM: no such device: run with -accel auto or tcg"},
		{"KVM does not work, found by trying", Auto, AMD64, AMD64, fails, TCG, ""},
		{"KVM runs no other architecture", KVM, ARM64, AMD64, works, "", "use KVM: it cannot run arm64 guests on amd64"},
		{"emulation for another architecture", Auto, ARM64, AMD64, works, TCG, ""},
	} {
		got, err := row.requested.choose(row.arch, row.host, row.try)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != row.want || !strings.HasPrefix(text, row.wantErr) || (row.wantErr == "") != (err == nil) {
			t.Errorf("%s: %q, %v; want %q, %q", row.reason, got, err, row.want, row.wantErr)
		}
	}
	if _, err := ParseAccel("xen"); err == nil {
		t.Error("xen is an accelerator")
	}
}

// The features that slow emulation down do not exist for -cpu host, and KVM has no threads to choose.
func TestMachine_Arguments(t *testing.T) {
	for _, row := range []struct {
		arch  Arch
		accel Accel
		want  []string
		never string
	}{
		{AMD64, TCG, []string{"tcg,thread=single", cpu}, "host"},
		{AMD64, Counted, []string{"tcg,thread=single", "-icount", cpu}, "host"},
		{AMD64, TCG, nil, "-icount"},
		{AMD64, KVM, []string{"kvm", "host"}, cpu},
		{ARM64, TCG, []string{"tcg,thread=single", "virt", "cortex-a76"}, "host"},
		{ARM64, KVM, []string{"kvm", "virt,gic-version=host", "host"}, "cortex-a76"},
	} {
		args := machines[row.arch].arguments(row.accel)
		for _, want := range row.want {
			if !slices.Contains(args, want) {
				t.Errorf("%s with %s: %q is missing in %q", row.arch, row.accel, want, args)
			}
		}
		if slices.Contains(args, row.never) {
			t.Errorf("%s with %s: %q is in %q", row.arch, row.accel, row.never, args)
		}
		emulated := strings.Contains(machines[row.arch].commandLine(row.accel), "clearcpuid=")
		if want := row.arch == AMD64 && row.accel != KVM; emulated != want {
			t.Errorf("%s with %s: clearcpuid is set: %v, want %v", row.arch, row.accel, emulated, want)
		}
	}
}

// The firmware of a trial also ends an emulated machine, so it is tested on every host.
func TestTrial_Ends(t *testing.T) {
	for arch, m := range machines {
		if _, err := exec.LookPath(m.program); err != nil {
			t.Logf("%s is not installed", m.program)
			continue
		}
		if err := try(t.Context(), arch, TCG); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
	}
}
