package command

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/doctor"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// command returns a command that runs netzero.
func command(args string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", strings.Fields(args)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// run returns what the doctor prints and its exit status.
func run(t *testing.T, cmd *exec.Cmd) (string, int) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestDoctor_Records(t *testing.T) {
	testenv.RequireRoot(t)
	var want, got []doctor.Check
	for _, step := range session.Steps {
		want = append(want, doctor.Check{Name: string(step), Status: doctor.OK})
	}
	want = append(want, doctor.Check{Name: doctor.Recording, Status: doctor.OK},
		doctor.Check{Name: doctor.Executables, Status: doctor.OK},
		doctor.Check{Name: doctor.Parallel, Status: doctor.OK})

	text, code := run(t, command("doctor -json -here"))
	var d doctor.Diagnosis
	if err := json.Unmarshal([]byte(text), &d); err != nil || code != 0 || !d.Records {
		t.Errorf("exit status %d, %v:\n%s", code, err, text)
	}
	for _, c := range d.Checks {
		if c.Detail == "" {
			t.Errorf("%s has no detail", c.Name)
		}
		got = append(got, doctor.Check{Name: c.Name, Status: c.Status, Advice: c.Advice})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}

	text, code = run(t, command("doctor -here"))
	if code != 0 || !strings.HasSuffix(text, "\nTests are recorded here.\n") {
		t.Errorf("exit status %d:\n%s", code, text)
	}
	for _, c := range want {
		if line := fmt.Sprintf("\n  ok       %-14s ", c.Name); !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestDoctor_OtherUser(t *testing.T) {
	testenv.RequireRoot(t) // to become somebody else
	cmd := command("doctor -json -here")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	text, code := run(t, cmd)
	var d doctor.Diagnosis
	if err := json.Unmarshal([]byte(text), &d); err != nil || code != 1 || d.Records {
		t.Errorf("exit status %d, %v:\n%s", code, err, text)
	}
}

func TestDoctor_RejectsArguments(t *testing.T) {
	for args, want := range map[string]string{
		"now":           `unexpected argument "now"`,
		"-json now":     `unexpected argument "now"`,
		"-json=perhaps": `invalid boolean value "perhaps" for -json`,
		"-verbose":      "flag provided but not defined: -verbose",
	} {
		if text, code := run(t, command("doctor "+args)); code != 2 || !strings.Contains(text, want) {
			t.Errorf("%s: exit status %d:\n%s", args, code, text)
		}
	}
	if text, code := run(t, command("doctor -h")); code != 0 ||
		!strings.Contains(text, "Exit status: 0 if tests are recorded here, 1 if not") {
		t.Errorf("-h: exit status %d:\n%s", code, text)
	}
}

func TestDoctor_WriteError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var complaint strings.Builder
	cmd := command("doctor -here")
	cmd.Stdout, cmd.Stderr = full, &complaint
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 2 ||
		!strings.HasPrefix(complaint.String(), "netzero doctor: write diagnosis: ") {
		t.Errorf("exit status %d: %s", code, complaint.String())
	}
}
