package kernels

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/kernels/guest"
)

var (
	testKernel = Kernel{"linux-image-6.12.117+deb13-cloud-amd64", "6.12.117-1"}
	testSuites = []Suite{{Package: "./p"}, {Package: "./q"}}
)

const (
	hello   = "6.12.117+deb13-cloud-amd64"
	outputP = "\x16=== RUN   TestA\nof A\n\x16=== RUN   TestA/sub\n\x16    --- PASS: TestA/sub (0.00s)\n\x16--- " +
		"PASS: TestA (0.01s)\n\x16PASS\n"
	outputQ = "\x16=== RUN   TestB\n\x16--- PASS: TestB (0.00s)\n\x16=== RUN   TestC\nq_test.go:1: reason\n\x16--- " +
		"SKIP: TestC (0.00s)\n\x16PASS\n"
)

func whole() []guest.Record {
	return []guest.Record{
		{Kind: guest.Hello, Text: hello},
		{Kind: guest.Start, Package: "./p"}, {Kind: guest.Output, Package: "./p", Text: outputP},
		{Kind: guest.End, Package: "./p"},
		{Kind: guest.Start, Package: "./q"}, {Kind: guest.Output, Package: "./q", Text: outputQ},
		{Kind: guest.End, Package: "./q"},
		{Kind: guest.Done},
	}
}

func sendAll(t *testing.T, records []guest.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := guest.NewWriter(&b)
	for _, r := range records {
		if err := w.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestResult_PassIsOneLine(t *testing.T) {
	o := outcome{received: sendAll(t, whole()), status: guest.PassedStatus, took: 3100 * time.Millisecond,
		cpu: 2 * time.Second}
	r := evaluate(testKernel, testSuites, nil, false, o, machines[AMD64])
	if got, want := r.Text(false), "ok   6.12.117 (2 tests, 1 skipped, 3.1s, 2.0s of CPU)\n"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if got := strings.Join(r.Skipped, " "); got != "./q: TestC" {
		t.Errorf("skipped %q", got)
	}
	if !strings.Contains(r.Text(true), "of A") {
		t.Error("verbose text has not what the tests wrote")
	}
}

func TestResult_UnseenPassFails(t *testing.T) {
	at := func(i int, r guest.Record) func([]guest.Record) []guest.Record {
		return func(all []guest.Record) []guest.Record { all[i] = r; return all }
	}
	same := func(all []guest.Record) []guest.Record { return all }
	for _, c := range []struct {
		reason  string
		change  func([]guest.Record) []guest.Record
		status  int
		err     error
		partial bool
		want    string
	}{
		{"a test failed, and its binary pretends not",
			at(2, guest.Record{Kind: guest.Output, Package: "./p",
				Text: "\x16=== RUN   TestA\nbecause\n\x16--- FAIL: TestA (0.01s)\n"}),
			guest.PassedStatus, nil, false, "./p: TestA failed"},
		{"no test matched", at(2, guest.Record{Kind: guest.Output, Package: "./p",
			Text: "testing: warning: no tests to run\n\x16PASS\n"}),
			guest.PassedStatus, nil, false, "./p: none of its tests ran"},
		{"a test prints what looks like a pass",
			at(2, guest.Record{Kind: guest.Output, Package: "./p", Text: "--- PASS: TestFake (0.00s)\n\x16PASS\n"}),
			guest.PassedStatus, nil, false, "./p: none of its tests ran"},
		{"all of a suite's tests skipped themselves",
			at(2, guest.Record{Kind: guest.Output, Package: "./p", Text: "\x16--- SKIP: TestA (0.01s)\n"}),
			guest.PassedStatus, nil, false, "./p: none of its tests ran"},
		{"the binary failed after its tests",
			at(3, guest.Record{Kind: guest.End, Package: "./p", Text: "exit status 2"}), guest.FailedStatus, nil, false,
			"./p: exit status 2"},
		{"a suite never started", func(all []guest.Record) []guest.Record { return append(all[:4], all[7]) },
			guest.PassedStatus, nil, false, "./q: its tests did not end"},
		{"a test hung", func(all []guest.Record) []guest.Record {
			all[2].Text = outputP + "\x16=== RUN   TestX\n\x16=== RUN   TestX/sub\n"
			return all[:3]
		}, -1, errors.New("the guest did not end within 1s"), false, "./p: its tests did not end: TestX, TestX/sub"},
		{"the guest died", func(all []guest.Record) []guest.Record { return all[:5] }, 0, nil, false,
			"records are incomplete"},
		{"another kernel", at(0, guest.Record{Kind: guest.Hello, Text: "6.12.116"}), guest.PassedStatus, nil, false,
			"runs 6.12.116, want " + hello},
		{"the kernel warned", at(1, guest.Record{Kind: guest.Fault, Text: "the kernel warned"}), guest.FailedStatus,
			nil, false, "the kernel warned"},
		{"process 1 saw a failure that no record tells", same, guest.FailedStatus, nil, false,
			"ended with status 35, want 33"},
		{"the kernel panicked behind the last record", same, 0, nil, false, "ended with status 0, want 33"},
		{"time was up", same, -1, errors.New("the guest did not end within 1s"), false, "did not end within 1s"},
		{"nothing matches -run", func(all []guest.Record) []guest.Record {
			all[2].Text, all[5].Text = "\x16PASS\n", "\x16PASS\n"
			return all
		}, guest.PassedStatus, nil, true, "no test ran"},
	} {
		o := outcome{received: sendAll(t, c.change(whole())), status: c.status, err: c.err}
		r := evaluate(testKernel, testSuites, nil, c.partial, o, machines[AMD64])
		if r.Passed() {
			t.Errorf("%s: passed", c.reason)
		}
		if text := r.Text(false); !strings.HasPrefix(text, "FAIL 6.12.117 (") || !strings.Contains(text, c.want) {
			t.Errorf("%s: the text does not say %q:\n%s", c.reason, c.want, text)
		}
	}
}

func TestResult_PartialRun(t *testing.T) {
	records := whole()
	records[2].Text = "testing: warning: no tests to run\n\x16PASS\n"
	o := outcome{received: sendAll(t, records), status: guest.PassedStatus}
	if r := evaluate(testKernel, testSuites, nil, true, o, machines[AMD64]); !r.Passed() {
		t.Errorf("failed: %q", r.Faults)
	}
}

func TestResult_FailureText(t *testing.T) {
	records := whole()
	records[2].Text = outputP + "\x16=== RUN   TestX\nx_test.go:7: because\n\x16--- FAIL: TestX (0.01s)\n\x16FAIL\n"
	records[3].Text = "exit status 1"
	o := outcome{received: append([]byte("[ 1.0] Kernel panic\n"), sendAll(t, records)...), status: guest.FailedStatus}
	text := evaluate(testKernel, testSuites, nil, false, o, machines[AMD64]).Text(false)
	for _, want := range []string{"x_test.go:7: because", "--- FAIL: TestX", "Kernel panic"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text does not have %q:\n%s", want, text)
		}
	}
	for _, not := range []string{"of A", "q_test.go", "\x16"} {
		if strings.Contains(text, not) {
			t.Errorf("the text has %q:\n%s", not, text)
		}
	}
}

func TestResult_VerifierReasonFirst(t *testing.T) {
	const reason = "program post_bind4: load program: invalid argument: invalid func unknown#160 (25 line(s) omitted)"
	refused := "\x16=== RUN   TestX\nx_test.go:7: load: " + reason + "\n\x16--- FAIL: TestX (0.01s)\n"
	records := whole()
	records[2].Text, records[3].Text = outputP+refused+strings.ReplaceAll(refused, "TestX", "TestY"), "exit status 1"
	o := outcome{received: sendAll(t, records), status: guest.FailedStatus}
	r := evaluate(testKernel, testSuites, nil, false, o, machines[AMD64])
	if want := "refused by the kernel: " + reason; r.Faults[0] != want ||
		strings.Contains(strings.Join(r.Faults[1:], "\n"), reason) {
		t.Errorf("faults %q, want %q first and once", r.Faults, want)
	}
	records[2].Text, records[3].Text = strings.ReplaceAll(outputP+refused, "FAIL", "PASS"), ""
	o = outcome{received: sendAll(t, records), status: guest.PassedStatus}
	if r := evaluate(testKernel, testSuites, nil, false, o, machines[AMD64]); !r.Passed() {
		t.Errorf("a refusal that a test wanted is a fault: %q", r.Faults)
	}
}
