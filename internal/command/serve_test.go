package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
)

// served is a process of netzero report -serve.
type served struct {
	url    string
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *bytes.Buffer
}

// serve starts netzero report -serve in the module, and returns when it has printed its URL.
func (m reportedModule) serve(t *testing.T, paths ...string) *served {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"report", "-serve", "127.0.0.1:0", "-C", m.dir}, paths...)...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	s := &served{cmd: cmd, stderr: &bytes.Buffer{}}
	cmd.Stderr = s.stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	s.stdout = bufio.NewReader(out)
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("no URL: %v\n%s", err, s.stderr)
	}
	s.url = strings.TrimSuffix(line, "\n")
	return s
}

// get returns the answer to a path.
func (s *served) get(t *testing.T, path string) string {
	t.Helper()
	text, err := s.read(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s *served) read(path string) (string, error) {
	answer, err := http.Get(s.url + path)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("/%s: status %d, %v: %s", path, answer.StatusCode, err, text)
	}
	return string(text), nil
}

// current is the answer about flows.
type current struct {
	Version string
	Unread  []string
	Flows   []page.Flow
}

func (s *served) flows(t *testing.T) (c current) {
	t.Helper()
	if err := json.Unmarshal([]byte(s.get(t, "api/flows")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends returns the tests, destinations and verdicts of the flows.
func (c current) ends() []string {
	all := []string{}
	for _, f := range c.Flows {
		if f.Implied { // such as DNS queries
			continue
		}
		for _, o := range f.Tests {
			all = append(all, o.Test+" to "+f.Destination.Name+": "+o.Verdict)
		}
	}
	slices.Sort(all)
	return all
}

// stop interrupts the server, and returns its exit status and all that it wrote after the URL.
func (s *served) stop(t *testing.T, signal os.Signal) (status int, stdout, stderr string) {
	t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(s.stdout)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // the status tells
	return s.cmd.ProcessState.ExitCode(), string(rest), s.stderr.String()
}

func TestServe_EndsWithStatusZero(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "db")
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		s := m.serve(t, m.recordings)
		if got := s.flows(t).ends(); !slices.Equal(got, []string{"TestPay to db: allowed"}) {
			t.Errorf("flows %v", got)
		}
		if status, stdout, stderr := s.stop(t, signal); status != statusOK || stdout != "" || stderr != "" {
			t.Errorf("%s: status %d, output %q, errors %q", signal, status, stdout, stderr)
		}
	}
}

// The server starts before the tests, and shows what they record, one by one.
func TestServe_FillsWhileTestsRun(t *testing.T) {
	m := newReportedModule(t)
	s := m.serve(t, m.recordings)
	if text := s.get(t, ""); !strings.Contains(text, "There are no recordings.") {
		t.Error("the page does not say that it is empty")
	}
	first := s.flows(t)
	if len(first.Flows) != 0 || len(first.Unread) != 0 {
		t.Errorf("%+v", first)
	}

	m.write(t, "TestPay", nil, "db")
	second := s.flows(t)
	if got := second.ends(); !slices.Equal(got, []string{"TestPay to db: allowed"}) || second.Version == first.Version {
		t.Errorf("%v, version %s", got, second.Version)
	}
	if again := s.flows(t); again.Version != second.Version {
		t.Error("the version changes, and the results do not")
	}

	m.write(t, "TestPay", nil, "db", "ledger")
	m.write(t, "TestNew", nil, "db")
	want := []string{"TestNew to db: no policy", "TestPay to db: allowed", "TestPay to ledger: denied"}
	if diff := cmp.Diff(want, s.flows(t).ends()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if text := s.get(t, ""); !strings.Contains(text, "ledger") || !strings.Contains(text, "TestNew") {
		t.Error("the page lacks the new results")
	}
	if text := s.get(t, "metrics"); !strings.Contains(text, "netzero_flows_denied{workload=\"pay\"} 1\n") {
		t.Errorf("metrics:\n%s", text)
	}

	if err := os.Remove(filepath.Join(m.recordings, "TestNew.json")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:], s.flows(t).ends()); diff != "" {
		t.Errorf("after a removal (-want +got)\n%s", diff)
	}
	if status, _, stderr := s.stop(t, os.Interrupt); status != statusOK || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// The verdicts are those of the golden file as it is now.
func TestServe_GoldenFileChanges(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "db", "ledger")
	s := m.serve(t, m.recordings)
	golden := filepath.Join(m.dir, "pay", "testdata", "netzero", "TestPay.yaml")
	for _, row := range []struct {
		reason, policy string
		want           []string
	}{
		{"a rule for ledger", strings.Replace(reportedPolicy, "app: db", "app: ledger", 1),
			[]string{"TestPay to db: denied", "TestPay to ledger: allowed"}},
		{"a malformed file", reportedPolicy + "  {",
			[]string{"TestPay to db: not compared", "TestPay to ledger: not compared"}},
		{"no file", "", []string{"TestPay to db: no policy", "TestPay to ledger: no policy"}},
		{"the first file", reportedPolicy, []string{"TestPay to db: allowed", "TestPay to ledger: denied"}},
	} {
		err := os.Remove(golden)
		if row.policy != "" {
			err = os.WriteFile(golden, []byte(row.policy), 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		got := s.flows(t)
		if diff := cmp.Diff(row.want, got.ends()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", row.reason, diff)
		}
		if len(got.Unread) > 0 {
			t.Errorf("%s: unread %q", row.reason, got.Unread)
		}
	}
}

// All recordings of a golden file show which of its rules are unused.
func TestServe_UnusedRules(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "ledger")
	s := m.serve(t, m.recordings)
	if text := s.get(t, "metrics"); !strings.Contains(text, "netzero_rules_unused{workload=\"pay\"} 1\n") {
		t.Errorf("the rule for db does not count:\n%s", text)
	}
	m.write(t, "TestPay", nil, "db")
	if text := s.get(t, "metrics"); !strings.Contains(text, "netzero_rules_unused{workload=\"pay\"} 0\n") {
		t.Errorf("the rule for db counts:\n%s", text)
	}
}

// A recording that cannot be read or compared is named in every answer and once in the log. The others stay.
func TestServe_UnreadRecordings(t *testing.T) {
	m := newReportedModule(t)
	pay := m.write(t, "TestPay", nil, "db")
	s := m.serve(t, m.recordings)
	broken := filepath.Join(m.recordings, "broken.json")
	if err := os.WriteFile(broken, []byte(`{"version": 4, "test"`), 0o600); err != nil {
		t.Fatal(err)
	}
	m.write(t, "TestOther", func(v *recording.File) { v.Package = "example.com/shop/other" }, "db")
	m.write(t, "TestFlag", func(v *recording.File) { v.Package = "-toolexec=x" }, "db")
	m.write(t, "TestOutside", func(v *recording.File) { v.Golden = "../../../secret.yaml" }, "db")
	want := []string{
		"read recording " + broken + ": its end is missing (unexpected end of JSON input)",
		`TestFlag.json: package: malformed import path "-toolexec=x"`,
		"TestOther.json: package example.com/shop/other is not found from ",
		`TestOutside.json: golden file "../../../secret.yaml" is outside of the repository`,
	}
	for range 2 {
		got := s.flows(t)
		if ends := got.ends(); !slices.Equal(ends, []string{"TestPay to db: allowed"}) {
			t.Errorf("flows %v", ends)
		}
		unread := strings.Join(got.Unread, "\n")
		for _, line := range want {
			if len(got.Unread) != len(want) || !strings.Contains(unread, line) {
				t.Errorf("no %q in the list of unread recordings:\n%s", line, unread)
			}
		}
	}
	if text := s.get(t, ""); !strings.Contains(text, "Missing here") || !strings.Contains(text, "broken.json") {
		t.Error("the page does not name the recording")
	}
	if text := s.get(t, "metrics"); !strings.Contains(text, "netzero_recordings_unread 4\n") {
		t.Errorf("metrics:\n%s", text)
	}

	if err := os.WriteFile(broken, mustRead(t, pay), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := s.flows(t); len(got.Unread) != 3 {
		t.Errorf("after the repair: %q", got.Unread)
	}
	_, _, stderr := s.stop(t, os.Interrupt)
	for _, line := range want {
		if strings.Count(stderr, line) != 1 {
			t.Errorf("the log does not name once %q:\n%s", line, stderr)
		}
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Tests start with a new directory: the old one goes while it is served.
func TestServe_DirectoryIsReplaced(t *testing.T) {
	m := newReportedModule(t)
	m.write(t, "TestPay", nil, "db")
	s := m.serve(t, m.recordings)
	if got := s.flows(t).ends(); len(got) != 1 {
		t.Errorf("flows %v", got)
	}
	if err := os.RemoveAll(m.recordings); err != nil {
		t.Fatal(err)
	}
	got := s.flows(t)
	if len(got.Flows) != 0 || len(got.Unread) != 1 || !strings.Contains(got.Unread[0], m.recordings) {
		t.Errorf("without the directory: %+v", got)
	}
	if err := os.Mkdir(m.recordings, 0o700); err != nil {
		t.Fatal(err)
	}
	m.write(t, "TestPay", nil, "db", "ledger")
	if got := s.flows(t); len(got.ends()) != 2 || len(got.Unread) != 0 {
		t.Errorf("with a new directory: %+v", got)
	}
}

// Clients read while tests write: each answer is of whole recordings.
func TestServe_ClientsWhileTestsWrite(t *testing.T) {
	m := newReportedModule(t)
	s := m.serve(t, m.recordings)
	const tests, rounds = 4, 6
	written := make(chan bool)
	var clients sync.WaitGroup
	for _, path := range []string{"api/flows", "api/flows", "", "metrics", "api/policies"} {
		clients.Go(func() {
			for isOver := false; !isOver; {
				select {
				case <-written:
					isOver = true
				default:
				}
				text, err := s.read(path)
				if err != nil {
					t.Error(err)
					return
				}
				if path != "api/flows" {
					continue
				}
				var got current
				if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Unread) != 0 {
					t.Errorf("%v: %q", err, got.Unread)
				}
				if n := len(got.ends()); n > tests {
					t.Errorf("%d flows of %d tests", n, tests)
				}
			}
		})
	}
	for round := range rounds {
		for i := range tests {
			m.write(t, fmt.Sprintf("Test%d", i), nil, fmt.Sprintf("db%d", round))
		}
	}
	close(written)
	clients.Wait()
	var want []string
	for i := range tests {
		want = append(want, fmt.Sprintf("Test%d to db%d: no policy", i, rounds-1))
	}
	if diff := cmp.Diff(want, s.flows(t).ends()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if status, _, stderr := s.stop(t, os.Interrupt); status != statusOK || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestServe_Errors(t *testing.T) {
	m := newReportedModule(t)
	pay := m.write(t, "TestPay", nil, "db")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const free = "127.0.0.1:0"
	for _, row := range []struct {
		reason string
		args   []string
		want   string
	}{
		{"no recordings", []string{"-serve", free}, "no recordings: name files or directories"},
		{"a file for output", []string{"-serve", free, "-o", "a.html", pay}, "leave out -o, or -serve to write a.html"},
		{"a format", []string{"-serve", free, "-format", "html", pay}, "leave out -format"},
		{"standard input", []string{"-serve", free, "-"}, "cannot do so with standard input"},
		{"no directory", []string{"-serve", free, m.recordings + "x"},
			"recordingsx: no such file or directory: create the directory first"},
		{"a device", []string{"-serve", free, os.DevNull}, os.DevNull + " is neither a file nor a directory"},
		{"an address in use", []string{"-serve", taken.Addr().String(), pay}, "serve: listen tcp " + taken.Addr().String() +
			": bind: address already in use: name another port, or 0 for any free port"},
		{"no port", []string{"-serve", "localhost", pay}, "want HOST:PORT, such as 127.0.0.1:8080"},
	} {
		status, stdout, stderr := m.run(row.args...)
		isLine := strings.Count(stderr, "\n") == 1
		if status != statusUsage || stdout != "" || !strings.Contains(stderr, row.want) || !isLine {
			t.Errorf("%s: status %d, want %q:\n%s%s", row.reason, status, row.want, stdout, stderr)
		}
	}
}
