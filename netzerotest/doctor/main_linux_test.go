package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// TestMain lets the test binary be the doctor itself.
func TestMain(m *testing.M) {
	if os.Getenv("DOCTOR_TEST") != "" {
		os.Args = strings.Fields("doctor " + os.Getenv("DOCTOR_ARGS"))
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// doctor runs the doctor as a user and returns what it prints and its exit status.
func doctor(t *testing.T, args string, uid uint32) (string, int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "DOCTOR_TEST=1", "DOCTOR_ARGS="+args)
	if uid != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestDoctorOfAMachineThatRecords(t *testing.T) {
	testenv.RequireRoot(t)
	text, code := doctor(t, "", 0)
	if code != 0 || strings.Count(text, "  ok ") != len(session.Steps) || !strings.Contains(text, "Tests are recorded here.") {
		t.Errorf("exit status %d:\n%s", code, text)
	}
	text, code = doctor(t, "-json", 0)
	var d diagnosis
	if err := json.Unmarshal([]byte(text), &d); err != nil || code != 0 || !d.Records || len(d.Checks) != len(session.Steps) {
		t.Errorf("exit status %d, %v:\n%s", code, err, text)
	}
}

func TestDoctorWithoutPrivileges(t *testing.T) {
	testenv.RequireRoot(t) // to become somebody else
	text, code := doctor(t, "", 65534)
	for _, want := range []string{
		"failed   eBPF programs  load: not permitted: missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON",
		"skipped  own cgroup", "NOT recorded here. Try: sudo go run",
	} {
		if code != 1 || !strings.Contains(text, want) {
			t.Errorf("exit status %d, does not say %q:\n%s", code, want, text)
		}
	}
}

func TestDoctorRefusesArguments(t *testing.T) {
	if text, code := doctor(t, "now", 0); code != 2 || !strings.Contains(text, `"now"`) {
		t.Errorf("exit status %d:\n%s", code, text)
	}
}

func TestTextOfADiagnosis(t *testing.T) {
	d := diagnosis{System: runtime.GOOS + "/x", Advice: "sudo x", Checks: []check{
		{"kernel", "ok", "6.1.0"}, {"cgroup v2", "failed", "none"}, {"hooks", "skipped", ""},
	}}
	var b bytes.Buffer
	if err := d.print(&b, false); err != nil {
		t.Fatal(err)
	}
	want := "netzerotest on " + runtime.GOOS + "/x\n" +
		"  ok       kernel         6.1.0\n" +
		"  failed   cgroup v2      none\n" +
		"  skipped  hooks          \n" +
		"Tests are NOT recorded here. Try: sudo x\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}
