package netzerotest

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var writeIdentity = flag.Bool("write", false, "write docs/identity.md instead of comparing with it")

var rowsDir = flag.String("rows", "", "a directory into which TestIdentities writes each row as data: NNN.json")

// identityFile is the path, from this package's directory, of the document that TestIdentityDocument_Current writes.
const identityFile = "../docs/identity.md"

// identityHead is the text before the table. A doubled apostrophe becomes a backtick.
var identityHead = strings.ReplaceAll(`# Identity

A policy names the first match of this list. The [table](#the-table) has an example of everything that a test can dial.

## Order

1. A container of the test, by a published port or by its address in any network. A ''Peer'' does not rename it, unless
   it says that the container runs the API server.
2. ''Peer'' with a port, also for a server of the test process.
3. The API server, by ''KUBERNETES_SERVICE_HOST'' and ''KUBERNETES_SERVICE_PORT'' of the process that connects.
4. A resolver: port 53 of a name server in resolv.conf, or of Docker's own, also if that is a container. It is the
   cluster's DNS.
5. Loopback inside one workload or one pod: no flow.
6. Any other container, by a published port or by its address.
7. A process that listens on this machine, in the network namespace of the flow. The program ''kube-apiserver'' is the
   API server.
8. ''Peer'' without a port.
9. The name from the client or from DNS. It is a workload or the API server if the manifests, the form of the name or
   an ExternalName say so. Any other name with a dot is an external host.
10. The address.

For example, a test dials ''localhost:49153'', where container ''redis'' publishes its port 6379. Rule 1 matches, and
the policy has ''app=redis: 6379/TCP''.

## Never in a policy

- Infrastructure of the test: wait strategies, health checks, Ryuk, the Docker engine, and an API server that the test
  runs, with its etcd. A notice lists it.
- A port that the kernel chose. The test fails until something names the port.
- Addresses of the test's own network, for a workload with a known name.
- A policy from a recording that is incomplete: the test fails, and nothing is written.

## The table

The test process is the workload ''checkout'', unless the row names another. A cell shows its egress; "from" is the
ingress of the called workload.

- ''app=db in shop: 5432/TCP'': pods with the label, in that namespace (without it: in the policy's own), and the port.
- ''internet'': the blocks of all public addresses. Kubernetes does not limit them to the host; NetZero does, by the
  annotation ''netzero.dev/egress-names'', here ''egress-names''. Other annotations are shortened alike.
- ''all addresses'': a rule without peers.
- Labels without a port are the pod selector of a workload's own policy.
- A workload with egress rules for names also has one for the cluster's DNS. Only the rows about the resolver show it;
  "no DNS" says that there is none.
- **red**: the test fails, and nothing is written.

Each row is a row of the test ''TestIdentities'' of package netzerotest. Its input goes through the code that a
recording runs after the kernel, and the test compares the policies of both dialects with the row. To change a row,
change the table of that test and run ''go test ./netzerotest -run TestIdentity -write'', which writes this file. The
last column names further tests: those that record the row on a kernel, and those with more cases of it.

| what was dialled | what is known about it | NetworkPolicy | CiliumNetworkPolicy | why | further tests |
|---|---|---|---|---|---|
`, "''", "`")

// An identityRow is a row of docs/identity.md, with its input.
type identityRow struct {
	dialled, known, why string
	kubernetes, cilium  string // items separated by "; "; an empty cilium means the same text
	scene               scene

	of     string // the workload with the shown policy; default checkout
	shows  string // default showsEgress
	notice string // a part of the notice in the row
	red    string // a part of the error
	tests  []string

	onlyTests bool // no scene can produce it; only the named tests cover it
}

// written returns the output of a dialect, in the words of the row.
func (r identityRow) written(t *testing.T, result sceneResult, cilium bool) string {
	t.Helper()
	noticed := r.notice != "" && strings.Contains(strings.Join(result.notices, "\n"), r.notice)
	if r.notice != "" && !noticed {
		t.Logf("notices: %q", result.notices)
	}
	var items []string
	switch {
	case result.err != nil && r.red != "" && strings.Contains(result.err.Error(), r.red):
		return "red"
	case result.err != nil:
		t.Errorf("it fails: %v", result.err)
		return ""
	default:
		of, shows := r.of, r.shows
		if of == "" {
			of = "checkout"
		}
		if shows == "" {
			shows = showsEgress
		}
		items = result.policyOf(of, shows, cilium)
	}
	if len(items) == 0 {
		items = []string{"nothing"}
	}
	if noticed {
		items = append(items, "a notice")
	}
	return strings.Join(items, "; ")
}

// plain are items that are not policy text.
var plain = []string{
	"nothing", "a notice", "no policy", "no DNS", "no ingress", "ingress is open", "allowed, and kept",
}

// cell returns the words of a dialect as a table cell.
func cell(words string) string {
	if words == "red" {
		return "nothing: **red**"
	}
	items := strings.Split(words, "; ")
	for i, item := range items {
		if !slices.Contains(plain, item) {
			items[i] = "`" + item + "`"
		}
	}
	return strings.Join(items, "; ")
}

func (r identityRow) String() string {
	kubernetes, cilium := cell(r.kubernetes), "the same"
	if r.cilium != "" {
		cilium = cell(r.cilium)
	}
	var tests []string
	for _, test := range r.tests {
		tests = append(tests, "`"+test+"`")
	}
	columns := []string{r.dialled, r.known, kubernetes, cilium, r.why, strings.Join(tests, ", ")}
	return strings.TrimSuffix("| "+strings.Join(columns, " | "), " ") + " |"
}

// TestIdentities compares the output of both dialects for each row with the row. With -rows it also writes the rows as
// data.
func TestIdentities(t *testing.T) {
	for i, r := range identityRows {
		if r.onlyTests {
			continue
		}
		t.Run(r.dialled+"/"+r.known, func(t *testing.T) {
			want := r.cilium
			if want == "" {
				want = r.kubernetes
			}
			inKubernetes, inCilium := r.scene.play(t, false), r.scene.play(t, true)
			if got := r.written(t, inKubernetes, false); got != r.kubernetes {
				t.Errorf("NetworkPolicy: %s\nwant %s", got, r.kubernetes)
			}
			if got := r.written(t, inCilium, true); got != want {
				t.Errorf("CiliumNetworkPolicy: %s\nwant %s", got, want)
			}
			if *rowsDir != "" {
				file := filepath.Join(*rowsDir, fmt.Sprintf("%03d.json", i+1))
				if err := r.value(t, inKubernetes, inCilium).Write(file); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestIdentityDocument_Current compares docs/identity.md with the table.
func TestIdentityDocument_Current(t *testing.T) {
	var b strings.Builder
	b.WriteString(identityHead)
	for _, r := range identityRows {
		b.WriteString(r.String() + "\n")
	}
	if *writeIdentity {
		if err := os.WriteFile(identityFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(identityFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Errorf("%s differs from the table: run go test ./netzerotest -run TestIdentity -write", identityFile)
	}
}

// TestIdentityRows_Complete checks that each row has all fields that a reader needs, is unique, and names tests that
// exist.
func TestIdentityRows_Complete(t *testing.T) {
	exists := testsOfTheRepository(t)
	seen := make(map[string]bool)
	for _, r := range identityRows {
		row := r.dialled + " | " + r.known
		if seen[row] {
			t.Errorf("%s: there are two such rows", row)
		}
		seen[row] = true
		isWhole := r.dialled != "" && r.known != "" && r.kubernetes != "" && r.why != ""
		if !isWhole || strings.ContainsAny(r.dialled+r.known+r.why, "|\n") {
			t.Errorf("%s: a column is empty, or breaks the table", row)
		}
		if r.cilium == r.kubernetes {
			t.Errorf("%s: leave out the text for Cilium if it is the same", row)
		}
		isNoticed := strings.Contains(r.kubernetes+r.cilium, "a notice")
		if isNoticed != (r.notice != "") || (r.kubernetes == "red") != (r.red != "") {
			t.Errorf("%s: want the text of the notice or error", row)
		}
		if r.onlyTests && len(r.tests) == 0 {
			t.Errorf("%s: no test covers it", row)
		}
		for _, test := range r.tests {
			if !exists[test] {
				t.Errorf("%s: there is no test %s", row, test)
			}
		}
	}
}

// testsOfTheRepository returns the names of all tests: functions, and scripts in the form TestScripts/NAME.
func testsOfTheRepository(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
	all := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range function.FindAllStringSubmatch(string(text), -1) {
				all[m[1]] = true
			}
		case filepath.Ext(path) == ".txtar" && strings.Contains(filepath.ToSlash(path), "internal/e2e/testdata/"):
			all["TestScripts/"+strings.TrimSuffix(filepath.Base(path), ".txtar")] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
