package cost

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/internal/testnet"
	"github.com/netzero-dev/netzero/netzerotest"
)

// The hosts of TestAttempts: all of their ports refuse.
const (
	refusedName = "refused.pay.test"
	refusedHost = "203.0.113.11"
	quietHost   = "203.0.113.12" // nothing is sent to it
	childHost   = "203.0.113.13"
	hostOfA     = "203.0.113.14"
	hostOfB     = "203.0.113.15"
)

// labVariable is set in a process that runs in the lab.
const labVariable = "COST_LAB"

// TestAttempts opens what the tools are asked about.
func TestAttempts(t *testing.T) {
	if os.Getenv(labVariable) == "" {
		t.Log("TestTruth runs it, in a lab")
		return
	}
	rec := netzerotest.Record(t, netzerotest.Workload("work"), netzerotest.Golden("testdata/anything.yaml"))
	if conn, err := net.Dial("tcp", refusedName+":1001"); err == nil {
		conn.Close()
		t.Error("the connection was not refused")
	}
	quiet, err := net.Dial("udp", quietHost+":1002")
	if err != nil {
		t.Fatal(err)
	}
	quiet.Close()
	if out, err := exec.Command("bash", "-c", "echo >/dev/tcp/"+childHost+"/1003").CombinedOutput(); err == nil {
		t.Errorf("the connection of the child was not refused: %s", out)
	}
	say(t, rec)
	t.Run("parallel", func(t *testing.T) {
		for name, host := range map[string]string{"A": hostOfA, "B": hostOfB} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rec := netzerotest.Record(t, netzerotest.Workload("work"), netzerotest.Shared("testdata/parts.yaml"))
				for range 50 {
					if conn, err := net.Dial("tcp", host+":1004"); err == nil {
						conn.Close()
					}
					time.Sleep(time.Millisecond)
				}
				say(t, rec)
			})
		}
	})
}

// say prints the flows of a recording, a line each.
func say(t *testing.T, rec *netzerotest.Recording) {
	t.Helper()
	for _, f := range rec.Flows() {
		at := ""
		for _, frame := range f.Process.Stack {
			if base := filepath.Base(frame.File); base == "truth_linux_test.go" {
				at = fmt.Sprintf("%s:%d", base, frame.Line)
				break
			}
		}
		to := f.Destination
		fmt.Printf("%s: %s %s %s by %s at %s\n", t.Name(), f.Target(), to.Name, to.Addr, f.Process.Name, at)
	}
}

// A question is what a user of a tool wants to know about an attempt.
type question struct {
	text string
	host string // of the attempt
	want string // a pattern that a line about the attempt then matches; "" for any line
	ours bool   // NetZero answers it; policies depend neither on refusals nor on what sends nothing
}

var questions = []question{
	{"an attempt that is refused", refusedHost, "", true},
	{"that it was refused", refusedHost, `ECONNREFUSED|Flags \[R`, false},
	{"a UDP socket that names a host and sends nothing", quietHost, "", false},
	{"the name of the host", refusedHost, regexp.QuoteMeta(refusedName), true},
	{"the program", childHost, `\bbash\b`, true},
	{"the line of Go", refusedHost, `truth_linux_test\.go:\d+`, true},
}

// aboutHost returns the lines about a host.
func aboutHost(output, host string) (lines []string) {
	pattern := regexp.MustCompile(regexp.QuoteMeta(host) + `\b`)
	for line := range strings.Lines(output) {
		if pattern.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// isAnswered reports whether an output answers a question.
func (q question) isAnswered(output string) bool {
	want := regexp.MustCompile(q.want)
	for _, line := range aboutHost(output, q.host) {
		if want.MatchString(line) {
			return true
		}
	}
	return false
}

// tellsApart reports whether all lines about the host of one parallel test begin with one word, and those about the
// other's host with another word: the test of a recording, the thread or the process of a tool.
func tellsApart(output string) bool {
	first := func(host string) map[string]bool {
		words := make(map[string]bool)
		for _, line := range aboutHost(output, host) {
			word, _, _ := strings.Cut(line, " ")
			words[word] = true
		}
		return words
	}
	a, b := first(hostOfA), first(hostOfB)
	return len(a) == 1 && len(b) == 1 && !maps.Equal(a, b)
}

// TestTruth asks NetZero and each tool about the same attempts, and writes who knows what.
func TestTruth(t *testing.T) {
	testenv.RequireCommand(t, "strace", "strace")
	testenv.RequireCommand(t, "tcpdump", "tcpdump")
	testenv.RequireCommand(t, "bpftrace", "bpftrace")
	lab := testnet.New(t)
	lab.Host(refusedHost, quietHost, childHost, hostOfA, hostOfB)
	lab.ServeDNS("203.0.113.53:53", testnet.MustZone(refusedName+" A "+refusedHost))

	names := []string{"NetZero", "strace -f", "tcpdump", "bpftrace"}
	outputs := []string{
		attempts(t, lab, "require"),
		straced(t, lab),
		captured(t, lab, lab.Command, []string{"tcpdump", "-l", "-n", "-i", "any"}, "listening on"),
		captured(t, lab, exec.CommandContext, bpftrace, "ready"),
	}
	var b strings.Builder
	b.WriteString("| what | " + strings.Join(names, " | ") + " |\n|---" + strings.Repeat("|---", len(names)) + "|\n")
	row := func(text string, answers func(output string) bool) {
		b.WriteString("| " + text)
		for _, output := range outputs {
			b.WriteString(map[bool]string{true: " | yes", false: " | no"}[answers(output)])
		}
		b.WriteString(" |\n")
	}
	for _, q := range questions {
		row(q.text, q.isAnswered)
	}
	row("the test, of two that run in parallel", tellsApart)
	write(t, "truth.md", b.String())
	for _, q := range questions {
		if q.ours && !q.isAnswered(outputs[0]) {
			t.Errorf("NetZero does not know %s:\n%s", q.text, outputs[0])
		}
	}
	if !tellsApart(outputs[0]) {
		t.Errorf("NetZero does not know the test:\n%s", outputs[0])
	}
}

// attempts runs TestAttempts in the lab, and returns what it prints.
func attempts(t *testing.T, lab *testnet.Net, netzero string, prefix ...string) string {
	t.Helper()
	args := append(prefix, self(t), "-test.run", "^TestAttempts$", "-test.v")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := lab.Command(ctx, args[0], args[1:]...)
	cmd.Env = append(cmd.Environ(), "NETZERO="+netzero, labVariable+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// straced returns the trace of TestAttempts: lines that begin with the thread.
func straced(t *testing.T, lab *testnet.Net) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trace")
	attempts(t, lab, "off", "strace", "-f", "-qq", "-e", "trace=%network", "-o", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// captured returns what a tool prints while TestAttempts runs.
func captured(t *testing.T, lab *testnet.Net, command commander, args []string, ready string) string {
	t.Helper()
	var out bytes.Buffer
	stop := startTool(t, command, args, ready, &out)
	attempts(t, lab, "off")
	time.Sleep(time.Second) // tcpdump prints packets a moment after they were sent
	stop()
	return out.String()
}
