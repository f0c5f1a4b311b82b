package escapes

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var write = flag.Bool("write", false, "write docs/escapes.md instead of comparing with it")

// The paths, from this package's directory, of the files that make test-escapes writes.
const (
	documentFile = "../../docs/escapes.md"
	toolsFile    = "testdata/tools.txt"
)

// documentHead is the text before the tables.
const documentHead = `# Ways out

Every known way in which traffic leaves a process or a container, and what a recording shows of it. ` +
	"`make test-escapes`" + `
runs each on the kernel of the machine and writes this file. A row that shows anything else fails the test, also on the
other kernels of [kernels.md](kernels.md) that have the feature.

Each row has a host of its own; the flow is what the policy would allow.

"Refused" is the result with [Enforce](enforce.md) and a policy that allows nothing. Yes: the call fails with "operation
not permitted", no packet arrives at the host, and the recording has the attempt.

The other columns say whether three common tools saw the host, without Enforce. Each tool starts together with the
recording:

- strace: ` + "`strace -f -e trace=%network`" + ` on the process. Yes: the address is in the trace of its process tree.
- tcpdump. Yes: a packet to the address is on the wire. It cannot say who sent the packet.
- bpftrace: ` + "`sys_enter_connect`, `sys_enter_sendto`, `sys_enter_sendmsg` and `sys_enter_sendmmsg`" +
	` of the whole machine.
  Yes: the address is an argument, even if nothing left.

A dash: the machine that wrote this file lacks the feature. Rows with a container need Docker. "Fails": the test fails,
with the reason that follows.
`

// tools are the results of the three tools for each row: yes, no or a dash.
type tools map[string][3]string

func readTools() (tools, error) {
	text, err := os.ReadFile(toolsFile)
	if err != nil {
		return nil, err
	}
	all := make(tools)
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 {
			return nil, fmt.Errorf("read %s: %d fields in %q", toolsFile, len(fields), line)
		}
		all[fields[0]] = [3]string(fields[1:])
	}
	return all, nil
}

func (seen tools) write() error {
	var b strings.Builder
	for _, w := range allWays() {
		columns := seen[w.name]
		fmt.Fprintf(&b, "%s\t%s\n", w.name, strings.Join(columns[:], "\t"))
	}
	return writeFile(toolsFile, b.String())
}

// writeFile writes a file of the repository. Under sudo, the file belongs to the user who called sudo.
func writeFile(name, text string) error {
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, gidErr := strconv.Atoi(os.Getenv("SUDO_GID"))
	if uidErr != nil || gidErr != nil {
		return nil
	}
	return os.Chown(name, uid, gid)
}

// document returns the text of docs/escapes.md.
func document(seen tools) string {
	var b strings.Builder
	b.WriteString(documentHead)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| way | NetZero | refused | strace | tcpdump | bpftrace |\n|---|---|---|---|---|---|\n",
			g.name)
		for _, w := range g.ways {
			columns := seen[w.name]
			refused := w.refusal()
			if columns[0] == "-" {
				refused = "-"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", w.name, w.shown(), refused, strings.Join(columns[:], " | "))
		}
	}
	return b.String()
}

// shown returns a row's flows in the words of docs/escapes.md.
func (w way) shown() string {
	if reason, known := notYet[w.name]; known {
		return "**not yet**: " + reason
	}
	if w.want == "" {
		return "no flow: " + w.why
	}
	text := "`" + strings.ReplaceAll(w.want, ", ", "`, `") + "`"
	if w.failure != "" {
		text += "; fails, because its name is not known"
		if w.early != nil {
			text += ", if nothing was recorded when it was opened"
		}
	}
	if w.unseenBefore != "" {
		text += "; no flow if nothing was recorded when it started: " + w.unseenBefore
	}
	if w.endedFailure != "" {
		text += "; fails, with the name of the test that left it behind, if that test has ended"
	}
	if w.why != "" {
		text += ": " + w.why
	}
	return text
}

// refusal returns in the words of docs/escapes.md whether Enforce refuses a row.
func (w way) refusal() string {
	reason, known := notYetRefused[w.name]
	switch {
	case known:
		return "**not yet**: " + reason
	case w.want == "":
		return "no"
	case w.passes != "":
		return "no: " + w.passes
	case w.unseenBefore != "" || w.endedFailure != "":
		return "yes, if the flow is this test's"
	case w.silent:
		return "yes, but the call returns no error"
	}
	return "yes"
}

func TestDocument_Current(t *testing.T) {
	seen, err := readTools()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range allWays() {
		if _, known := seen[w.name]; !known {
			t.Errorf("%s has no row %q: run make test-escapes", toolsFile, w.name)
		}
	}
	if len(seen) != len(allWays()) {
		t.Errorf("%s has %d rows, the table %d: run make test-escapes", toolsFile, len(seen), len(allWays()))
	}
	want := document(seen)
	if *write {
		if err := writeFile(documentFile, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the table says: run make test-escapes", filepath.Clean(documentFile))
	}
}

func TestRows_Complete(t *testing.T) {
	names := make(map[string]bool)
	for _, w := range allWays() {
		if names[w.name] || strings.ContainsAny(w.name, "\t\n|") {
			t.Errorf("%q is not a name, or the name of two rows", w.name)
		}
		names[w.name] = true
		if (w.open == nil) == (w.early == nil) {
			t.Errorf("%s: want one of open and early", w.name)
		}
		if w.want == "" && w.why == "" {
			t.Errorf("%s has neither a flow nor a reason", w.name)
		}
		if w.passes != "" && (w.want == "" || w.silent) {
			t.Errorf("%s: passes is for a flow that is not refused", w.name)
		}
	}
	for _, defects := range []map[string]string{notYet, notYetRefused} {
		for name := range defects {
			if !names[name] {
				t.Errorf("notYet or notYetRefused has %q, which is no row", name)
			}
		}
	}
}
