package command

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// netzero runs the command, and returns its exit status and what it prints.
func netzero(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = dispatch(args, &out, &err)
	return status, out.String(), err.String()
}

// toDB is a recording of a test of workload shop, which connected to the ports of db.
func toDB(pkg, test string, ports ...uint16) recording.File {
	shop := recording.Workload{
		Name: "shop", Labels: map[string]string{"app": "shop"}, PodLabels: map[string]string{"app": "shop"},
	}
	v := recording.File{
		Test: test, Package: pkg, Golden: "../policy.yaml",
		Recording: recording.Recording{Workloads: []recording.Workload{{Name: "shop"}}},
		Placed:    recording.Placed{Workloads: []recording.Workload{shop}},
	}
	for _, port := range ports {
		v.Recording.Flows = append(v.Recording.Flows, flow.Flow{
			Source: flow.WorkloadEndpoint("shop"), Destination: flow.WorkloadEndpoint("db"), Protocol: flow.TCP, Port: port,
			Count: 1, First: 1, Process: flow.Process{PID: 12, Name: "psql"},
		})
	}
	v.Placed.Flows = recording.FromFlows(v.Recording.Flows)
	for i := range v.Placed.Flows {
		v.Placed.Flows[i].Process = recording.Process{}
		v.Placed.Origins = append(v.Placed.Origins, i)
	}
	return v
}

// write writes recordings to a new directory, as a.json, b.json and so on.
func write(t *testing.T, files ...recording.File) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i, v := range files {
		if err := v.Write(filepath.Join(dir, string(rune('a'+i))+".json")); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const origin = "# Recorded by netzerotest; edit it as you like: what counts is what the policy allows, not its text.\n"

// shopPolicy is the policy of workload shop, with a rule to db at the ports.
func shopPolicy(ports ...string) string {
	text := `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: shop
spec:
  podSelector:
    matchLabels:
      app: shop
  policyTypes:
  - Egress
  egress:
  - to:
    - podSelector:
        matchLabels:
          app: db
    ports:
`
	for _, port := range ports {
		text += "    - port: " + port + "\n      protocol: TCP\n"
	}
	return text + `  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
    ports:
    - port: 53
      protocol: TCP
    - port: 53
      protocol: UDP
`
}

func TestPolicy_PrintsOnePolicyOfAllRecordings(t *testing.T) {
	dir := write(t, toDB("example.com/b", "TestB", 5433), toDB("example.com/a", "TestA", 5432))
	want := origin + "# shared by: example.com/a.TestA\n# shared by: example.com/b.TestB\n" + shopPolicy("5432", "5433")
	for _, args := range [][]string{
		{"policy", dir},
		{"policy", filepath.Join(dir, "b.json"), filepath.Join(dir, "a.json")},
		{"policy", dir, filepath.Join(dir, "a.json")},
	} {
		status, stdout, stderr := netzero(args...)
		if status != 0 || stderr != "" {
			t.Errorf("%v: status %d, %s", args, status, stderr)
		}
		if diff := cmp.Diff(want, stdout); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", args, diff)
		}
	}
}

func TestPolicy_UpdateKeepsEditsAndRemovesUnused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deploy", "shop.yaml")
	dir := write(t, toDB("example.com/a", "TestA", 1, 2), toDB("example.com/b", "TestB", 3))
	if status, stdout, stderr := netzero("policy", "-o", file, dir); status != 0 || stdout != "" {
		t.Fatalf("status %d, %s%s", status, stdout, stderr)
	}
	text := readText(t, file)
	command := "\n# accept: go tool netzero policy -update -o " + file + " RECORDING...\n"
	if !strings.Contains(text, command) {
		t.Errorf("the header does not have%s:\n%s", command, text)
	}
	// A person's comment and policy stay.
	const note = "# the orders of the shop\n"
	const byHand = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: by-hand}\n" +
		"spec: {podSelector: {matchLabels: {app: cron}}, policyTypes: [Egress]}\n"
	edited := strings.Replace(text, "  - to:\n    - podSelector:\n", "  - to: "+note+"    - podSelector:\n", 1) + byHand
	writeText(t, file, edited)

	update := func(files ...recording.File) (int, string) {
		status, stdout, stderr := netzero("policy", "-update", "-o", file, write(t, files...))
		return status, stdout + stderr
	}
	status, out := update(toDB("example.com/a", "TestA", 1, 2), toDB("example.com/b", "TestB", 3))
	if status != 0 || out != "" || readText(t, file) != edited {
		t.Errorf("nothing is new: status %d, %s:\n%s", status, out, readText(t, file))
	}

	// TestB did not record, or not completely: what it needs is not known.
	const inPart = "may have run in part, so the policies may lack what they need: example.com/b.TestB"
	partial := toDB("example.com/b", "TestB")
	partial.Partial = true
	for _, files := range [][]recording.File{
		{toDB("example.com/a", "TestA", 1)}, {toDB("example.com/a", "TestA", 1), partial},
	} {
		status, out := update(files...)
		for _, part := range []string{
			file + ": unused, but kept: ", "port 2", "port 3",
			file + " lists example.com/b.TestB, which has no complete recording",
		} {
			if !strings.Contains(out, part) {
				t.Errorf("the output has no %q: %s", part, out)
			}
		}
		if strings.Contains(out, inPart) != (len(files) > 1) {
			t.Errorf("of the test that ran in part, the output says %s", out)
		}
		if status != 0 || readText(t, file) != edited {
			t.Errorf("status %d, and the file is\n%s", status, readText(t, file))
		}
	}

	status, out = update(toDB("example.com/a", "TestA", 1), toDB("example.com/b", "TestB", 4))
	if want := "netzero policy: wrote " + file + "\n"; status != 0 || out != want {
		t.Errorf("status %d, %q, want %q", status, out, want)
	}
	want := strings.Replace(edited, "    - port: 2\n      protocol: TCP\n    - port: 3\n", "    - port: 4\n", 1)
	if diff := cmp.Diff(want, readText(t, file)); diff != "" {
		t.Errorf("after the update (-want +got)\n%s", diff)
	}
}

func TestPolicy_RefusesWithoutWriting(t *testing.T) {
	complete := toDB("example.com/a", "TestA", 5432)
	incomplete, failed, ephemeral := complete, complete, complete
	incomplete.Incomplete = "2 events were \x1b[31mlost"
	failed.Failed = true
	ephemeral.Placed.EphemeralPorts = recording.FromEphemeralPorts([]recording.EphemeralPort{
		{Flow: complete.Recording.Flows[0], Container: "db-1 (pg)"},
	})
	dir := write(t, complete, incomplete, failed, ephemeral)
	in := func(name string) string { return filepath.Join(dir, name) }
	output := filepath.Join(t.TempDir(), "policy.yaml")
	owned := filepath.Join(t.TempDir(), "TestX.yaml")
	writeText(t, owned, origin+"# test: TestX\n"+shopPolicy("5432"))
	other := filepath.Join(t.TempDir(), "cilium.yaml")
	if status, _, stderr := netzero("policy", "-cilium", "-o", other, in("a.json")); status != 0 {
		t.Fatal(stderr)
	}
	for _, row := range []struct {
		reason string
		args   []string
		status int
		want   string
	}{
		{"an incomplete recording", []string{in("b.json")}, 1, `b.json is incomplete: 2 events were \x1b[31mlost`},
		{"a failed test", []string{in("c.json")}, 1, "c.json is of a run in which example.com/a.TestA failed"},
		{"an ephemeral port", []string{in("d.json")}, 1, "db serves shop at port 5432/TCP"},
		{"all of a directory", []string{dir}, 1, "c.json is of a run"},
		{"no recording", nil, 2, "NETZERO_RECORDINGS=DIR"},
		{"a namespace that is none", []string{"-namespace", "A_B", in("a.json")}, 1, "A_B"},
		{"a file that is missing", []string{in("z.json")}, 1, "z.json"},
		{"a directory without recordings", []string{t.TempDir()}, 1, "no file *.json in "},
		{"a file that is no recording", []string{owned}, 1, "it is no recording"},
		{"manifests that are missing", []string{"-manifests", in("k8s/*.yaml"), in("a.json")}, 1, "matches no file"},
		{"ports that are none", []string{"-ports", "ftp", in("a.json")}, 1, `ports "ftp": has no port`},
		{"an update of nothing", []string{"-update", in("a.json")}, 2, "-update needs -o"},
		{"the file of another test", []string{"-update", "-o", owned, in("a.json")}, 1, "is the golden file of TestX"},
		{"the other dialect", []string{"-update", "-o", other, in("a.json")}, 1, "holds a CiliumNetworkPolicy"},
	} {
		args := row.args
		if !strings.Contains(strings.Join(args, " "), "-o ") && len(args) > 0 && args[0] != "-update" {
			args = append([]string{"-o", output}, args...)
		}
		status, stdout, stderr := netzero(append([]string{"policy"}, args...)...)
		if status != row.status || !strings.Contains(stderr, row.want) || stdout != "" {
			t.Errorf("%s: status %d, %s%s, want %d and %q", row.reason, status, stdout, stderr, row.status, row.want)
		}
		if _, err := os.Stat(output); err == nil {
			t.Errorf("%s: a file was written", row.reason)
		}
	}
	status, stdout, stderr := netzero("policy", "-ports", "db:5432", in("d.json"))
	if status != 0 || !strings.HasSuffix(stdout, shopPolicy("5432")) {
		t.Errorf("a port that -ports names: status %d, %s%s", status, stdout, stderr)
	}
}

// The golden file of one test keeps its owner.
func TestPolicy_UpdateOfTheFileOfItsTest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "TestA.yaml")
	header := origin + "# test: TestA\n# accept: go test example.com/a -update\n"
	writeText(t, file, header+shopPolicy("1", "2"))
	dir := write(t, toDB("example.com/a", "TestA", 2))
	if status, _, stderr := netzero("policy", "-update", "-o", file, dir); status != 0 {
		t.Fatal(stderr)
	}
	if diff := cmp.Diff(header+shopPolicy("2"), readText(t, file)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPolicy_PlacesByManifests(t *testing.T) {
	dir := t.TempDir()
	writeText(t, filepath.Join(dir, "k8s [1]", "db.yaml"), `apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: data}
spec:
  selector: {matchLabels: {tier: store}}
  template: {metadata: {labels: {tier: store}}, spec: {containers: [{name: pg, image: pg}]}}
`)
	recordings := write(t, toDB("example.com/a", "TestA", 5432))
	status, stdout, stderr := netzero("policy", "-manifests", filepath.Join(dir, "k8s [1]"), "-namespace", "web",
		recordings)
	for _, part := range []string{"  namespace: web\n", "kubernetes.io/metadata.name: data", "tier: store"} {
		if !strings.Contains(stdout, part) || status != 0 {
			t.Errorf("status %d, no %q in\n%s%s", status, part, stdout, stderr)
		}
	}
}

func TestCheck_TextAndStatus(t *testing.T) {
	dir := t.TempDir()
	policies := filepath.Join(dir, "policies.yaml")
	writeText(t, policies, shopPolicy("1", "2"))
	elsewhere := filepath.Join(dir, "elsewhere.yaml")
	writeText(t, elsewhere, strings.ReplaceAll(shopPolicy("1"), "app: shop", "app: other"))
	allowed := write(t, toDB("example.com/a", "TestA", 1, 2))
	evil := toDB("example.com/a", "Test\x1b[2JA", 1, 3)
	evil.Recording.Flows[1].Process.Name = "ps\u202eql"
	denied := write(t, evil)
	for _, row := range []struct {
		reason string
		args   []string
		status int
		want   []string
	}{
		{"all is allowed", []string{policies, allowed}, 0, []string{
			"netzero: example.com/a.TestA: all flows are allowed (policy " + policies + ")",
		}},
		{"a flow is denied", []string{policies, denied}, 1, []string{
			`Test\x1b[2JA: 1 unexpected flow (policy `, "shop -> db:3/TCP", `by       ps\u202eql (pid 12)`,
			"denied   policy shop: ", "unused: policy shop: ", "port 2",
		}},
		{"only what is unused", []string{"-unused", policies, denied}, 0, []string{policies + ": unused: policy shop: "}},
		{"nothing is isolated", []string{elsewhere, allowed}, 1, []string{"nothing is protected: "}},
		{"one argument", []string{policies}, 2, []string{"name a file of policies, and recordings"}},
		{"no such format", []string{"-format", "xml", policies, allowed}, 2, []string{"neither text nor json"}},
		{"no such file", []string{filepath.Join(dir, "none.yaml"), allowed}, 2, []string{"none.yaml"}},
		{"no recording", []string{policies, policies}, 2, []string{"it is no recording"}},
		{"a directory in place of the policies", []string{t.TempDir(), policies}, 2,
			[]string{" is a directory: name a file of policies"}},
	} {
		status, stdout, stderr := netzero(append([]string{"check"}, row.args...)...)
		if status != row.status {
			t.Errorf("%s: status %d, want %d: %s%s", row.reason, status, row.status, stdout, stderr)
		}
		for _, part := range row.want {
			if !strings.Contains(stdout+stderr, part) {
				t.Errorf("%s: no %q in\n%s%s", row.reason, part, stdout, stderr)
			}
		}
		if strings.ContainsAny(stdout+stderr, "\x1b\u202e") {
			t.Errorf("%s: control characters in %q", row.reason, stdout+stderr)
		}
	}
}

// Traffic of a cluster has workloads that the file does not isolate, and neither processes nor times.
func TestCheck_ClusterTraffic(t *testing.T) {
	v := toDB("", "", 1, 3)
	for i := range v.Recording.Flows {
		v.Recording.Flows[i].First, v.Recording.Flows[i].Process = 0, flow.Process{}
	}
	v.Placed.Workloads = append(v.Placed.Workloads, recording.Workload{Name: "cron", AllTraffic: true})
	policies := filepath.Join(t.TempDir(), "policies.yaml")
	writeText(t, policies, shopPolicy("1"))
	status, stdout, stderr := netzero("check", policies, write(t, v))
	for _, part := range []string{"shop -> db:3/TCP\n      seen     1 time\n      denied ", "not protected: ", "cron",
		"netzero: recorded traffic: 1 unexpected flow"} {
		if status != 1 || !strings.Contains(stdout, part) {
			t.Errorf("status %d, no %q in\n%s%s", status, part, stdout, stderr)
		}
	}
}

func TestCheck_JSON(t *testing.T) {
	policies := filepath.Join(t.TempDir(), "policies.yaml")
	writeText(t, policies, shopPolicy("1", "2"))
	v := toDB("example.com/a", "TestA", 1, 3)
	v.Recording.Flows[1].Process.Name = "ps\u009bql\U000e0001"
	status, stdout, stderr := netzero("check", "-format", "json", policies, write(t, v))
	var got verdicts
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 1 || stderr != "" {
		t.Fatalf("status %d, %v: %s%s", status, err, stdout, stderr)
	}
	if strings.ContainsAny(stdout, "\u009b\U000e0001") {
		t.Errorf("control characters in %q", stdout)
	}
	type row struct {
		Port                     uint16
		Implied                  bool
		Process, Verdict, Policy string
		HasReason                bool
	}
	var rows []row
	for _, f := range got.Flows {
		rows = append(rows, row{f.Port, f.Implied, f.Process.Name, f.Verdict, f.Policy, f.Reason != ""})
	}
	want := []row{
		{1, false, "psql", "allowed", "shop", true}, {3, false, "ps\u009bql\U000e0001", "denied", "shop", true},
		{53, true, "", "allowed", "shop", true}, {53, true, "", "allowed", "shop", true},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("flows (-want +got)\n%s", diff)
	}
	if got.Golden != policies || got.Allowed || len(got.Unused) != 1 || len(got.NotIsolated) != 0 {
		t.Errorf("the answer is %s", stdout)
	}
	for _, field := range []string{"notices", "notIsolated", "programs"} {
		if !strings.Contains(stdout, `"`+field+`": []`) {
			t.Errorf("%s is not an empty list in %s", field, stdout)
		}
	}
}

// modulesTest is a test that writes a recording of its own.
const modulesTest = `package PACKAGE

import (
	"os"
	"path/filepath"
	"testing"
)

func Test_PACKAGE(t *testing.T) {
	text, err := os.ReadFile("recording.json")
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Getenv("NETZERO_RECORDINGS"), "PACKAGE.json"), text, 0o600)
	}
	if err != nil || os.Getenv("NETZERO_UPDATE") != "1" || os.Getenv("FAIL") != "" {
		t.Fatal(err)
	}
}
`

func TestUpdate_RemovesFromFilesOfSeveralPackages(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	writeText(t, in("go.mod"), "module example.com/shop\n\ngo 1.21\n")
	record := func(pkg string, change func(*recording.File), ports ...uint16) {
		t.Helper()
		v := toDB("example.com/shop/"+pkg, "Test_"+pkg, ports...)
		if change != nil {
			change(&v)
		}
		if err := v.Write(in(pkg + "/recording.json")); err != nil {
			t.Fatal(err)
		}
	}
	for _, pkg := range []string{"a", "b"} {
		writeText(t, in(pkg+"/"+pkg+"_test.go"), strings.ReplaceAll(modulesTest, "PACKAGE", pkg))
		record(pkg, nil, 1)
	}
	header := golden.Header{Tests: []string{
		"example.com/shop/a.TestGone", "example.com/shop/a.Test_a", "example.com/shop/b.Test_b",
	}}
	before := header.String() + shopPolicy("1", "2", "3")
	update := func(args ...string) (int, string) {
		t.Helper()
		writeText(t, in("policy.yaml"), before)
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, append([]string{"update"}, args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), asCommand+"=1", "GOFLAGS=-buildvcs=false", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(out)
	}
	t.Run("all tests of the file", func(t *testing.T) {
		record("b", nil, 3)
		status, out := update("./...")
		if status != 0 || !strings.Contains(out, "netzero update: wrote policy.yaml\n") {
			t.Errorf("status %d, %s", status, out)
		}
		header.Tests = header.Tests[1:]
		if diff := cmp.Diff(header.String()+shopPolicy("1", "3"), readText(t, in("policy.yaml"))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	for _, row := range []struct {
		name   string
		args   []string
		change func(*recording.File)
		status int
		want   []string
	}{
		{"one package", []string{"./a"}, nil, 0,
			[]string{"policy.yaml: unused, but kept: ", "policy.yaml lists example.com/shop/b.Test_b, which has no complete"}},
		{"a part", []string{"./..."}, func(v *recording.File) { v.Partial = true }, 0,
			[]string{"policy.yaml lists example.com/shop/b.Test_b, which has no complete recording"}},
		{"tests fail", []string{"./..."}, nil, 1, []string{"the tests have not passed"}},
		{"help", []string{"-h"}, nil, 0, []string{"usage: netzero update [arguments of go test]"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			record("b", row.change, 3)
			if row.status != 0 {
				t.Setenv("FAIL", "1")
			}
			status, out := update(row.args...)
			for _, part := range row.want {
				if status != row.status || !strings.Contains(out, part) {
					t.Errorf("status %d, no %q in\n%s", status, part, out)
				}
			}
			if got := readText(t, in("policy.yaml")); !strings.Contains(got, "port: 2\n") {
				t.Errorf("a rule was removed:\n%s", got)
			}
		})
	}
}
