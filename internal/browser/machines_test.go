package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// goModule is a module with tests that have recordings.
type goModule struct{ dir, recordings string }

const payPolicy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pay}
spec:
  podSelector: {matchLabels: {app: pay}}
  policyTypes: [Egress]
  egress:
  - {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}
`

// newModule writes a module with the test TestPay, which has a policy, and TestShip, which has none.
func newModule(t *testing.T) goModule {
	t.Helper()
	m := goModule{t.TempDir(), t.TempDir()}
	for name, text := range map[string]string{
		"go.mod":                            "module example.com/shop\n\ngo 1.25\n",
		"pay/pay.go":                        "package pay\n",
		"pay/testdata/netzero/TestPay.yaml": payPolicy,
	} {
		file := filepath.Join(m.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// machine is where tests ran.
type machine struct {
	dir     string // of the module
	pid     int
	started time.Time
}

var machines = []machine{
	{"/src/ann/shop", 4711, started},
	{"/builds/shop/runner-2", 92, started.Add(90 * time.Second)},
}

// record writes the recording of a test of package pay on a machine, with flows to workloads.
func (m goModule) record(t *testing.T, on machine, file, test string, to ...flow.Flow) {
	t.Helper()
	for i := range to {
		p := &to[i].Process
		p.PID, p.Command, p.Executable = on.pid, on.dir+"/pay.test -test.v", on.dir+"/pay.test"
		for j := range p.Stack[1:] {
			p.Stack[j+1].File = on.dir + "/pay/client.go"
		}
	}
	v := recording.File{
		Version: recording.Version, Test: test, Package: module + "/pay", Golden: "testdata/netzero/" + test + ".yaml",
		Started:   on.started,
		Recording: recording.Recording{Flows: to, Workloads: []recording.Workload{{Name: "pay"}}},
		Placed:    recording.Placed{Flows: recording.FromFlows(to), Workloads: []recording.Workload{{Name: "pay"}}},
	}
	if test == "TestPay" {
		v.Check = &recording.Check{Dialect: "NetworkPolicy"}
		for _, f := range to {
			verdict := recording.Verdict{Outcome: recording.OutcomeDenied, Policy: "pay", Reason: "no rule allows it"}
			if f.Destination.Name == "db" {
				verdict = recording.Verdict{Outcome: recording.OutcomeAllowed, Policy: "pay", Reason: "rule 1 (pods app=db)"}
			}
			v.Check.Verdicts = append(v.Check.Verdicts, verdict)
		}
	}
	file = filepath.Join(m.recordings, file)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := v.Write(file); err != nil {
		t.Fatal(err)
	}
}

// netzero returns the command netzero with a subcommand, in the module.
func (m goModule) netzero(subcommand string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{subcommand, "-C", m.dir}, args...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	return cmd
}

// repeated returns a flow that was opened so often.
func repeated(f flow.Flow, count uint64) flow.Flow {
	f.Count = count
	return f
}

// Recordings of two machines make one page: it has those of both, and counts each dependency once per recording.
func TestMachines_OnePage(t *testing.T) {
	m := newModule(t)
	db := func(count uint64) flow.Flow { return repeated(dialed("pay", service("db"), 5432, 12), count) }
	m.record(t, machines[0], "a/TestPay.json", "TestPay", db(2), dialed("pay", service("ledger"), 8080, 20))
	m.record(t, machines[1], "b/TestPay.json", "TestPay", db(3), dialed("pay", service("mail"), 25, 30))
	m.record(t, machines[1], "b/TestShip.json", "TestShip", db(1))
	out := filepath.Join(t.TempDir(), "netzero.html")
	cmd := m.netzero("report", "-o", out, filepath.Join(m.recordings, "a"), filepath.Join(m.recordings, "b"))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}

	w := open(t, address(out))
	if got, want := w.text("header p"), "3 recordings of 1 package, begun 2026-03-04 09:00:00 UTC"; got != want {
		t.Errorf("header %q, want %q", got, want)
	}
	var flows [][]string
	for _, f := range w.flows() {
		flows = append(flows, []string{f[0] + " > " + f[1] + ":" + f[2], f[4], f[5], f[8]})
	}
	slices.SortFunc(flows, slices.Compare)
	want := [][]string{ // TestShip has no policy, which is worse than allowed
		{"pay > db:5432", "no policy new", "6", "3"},
		{"pay > kube-dns.kube-system:53", "denied new", "0", "2"},
		{"pay > kube-dns.kube-system:53", "denied new", "0", "2"},
		{"pay > ledger:8080", "denied new", "1", "1"},
		{"pay > mail:25", "denied new", "1", "1"},
	}
	if diff := cmp.Diff(want, flows); diff != "" {
		t.Errorf("flows (-want +got)\n%s", diff)
	}

	w.fill("to:db")
	w.click("#rows .toggle")
	titles := eval[[]string](w, `[...document.querySelectorAll(".evidence h3")].map(e => e.textContent)`)
	wantTitles := []string{
		"TestShip example.com/shop/pay",
		"TestPay example.com/shop/pay, recording 1 of 2, begun 2026-03-04 09:00:00 UTC",
		"TestPay example.com/shop/pay, recording 2 of 2, begun 2026-03-04 09:01:30 UTC",
	}
	if diff := cmp.Diff(wantTitles, titles); diff != "" {
		t.Errorf("titles (-want +got)\n%s", diff)
	}
	evidence := strings.Join(w.evidence(), "\n")
	for _, want := range []string{
		"opened|2 times, first 12ms", "opened|3 times, first 12ms",
		"by|pay.test (pid 4711): /src/ann/shop/pay.test -test.v",
		"by|pay.test (pid 92): /builds/shop/runner-2/pay.test -test.v",
	} {
		if !strings.Contains(evidence, want) {
			t.Errorf("no %q in\n%s", want, evidence)
		}
	}
	if got := strings.Count(evidence, "at|pay/client.go:12 (*Client).Do"); got != 3 {
		t.Errorf("%d lines of Go relative to the module, want 3 in\n%s", got, evidence)
	}

	// The second machine began later.
	w.fill("to:mail")
	if got := w.flows()[0][9]; got != "+1m30s" {
		t.Errorf("first seen %s, want +1m30s", got)
	}
	// One rule allows one flow, which two recordings have.
	if got := w.text(".file tbody"); got != "rule 1 (pods app=db) pay 1 5" {
		t.Errorf("rules %q", got)
	}
	w.fill(`test:"TestPay"`)
	if got := len(w.flows()); got != 5 {
		t.Errorf("%d flows of TestPay, want 5", got)
	}
}
