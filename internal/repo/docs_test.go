package repo_test

import (
	"go/ast"
	"net/netip"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/policy"
	"github.com/netzero-dev/netzero/internal/policy/networkpolicy"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/report"
	"github.com/netzero-dev/netzero/internal/ways"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the text between two lines of a document.
func block(t *testing.T, text, first, last string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "\n"+first+"\n")
	body, _, ended := strings.Cut(rest, "\n"+last+"\n")
	if !found || !ended {
		t.Fatalf("no block from %q to %q", first, last)
	}
	return body + "\n"
}

func TestReadmesExampleIsTheOneThatRuns(t *testing.T) {
	example := block(t, read(t, "README.md"), "```go", "```")
	if !strings.HasSuffix(read(t, "examples/httpservice/httpservice_test.go"), "\n"+example) {
		t.Errorf("examples/httpservice/httpservice_test.go does not end with the example:\n%s", example)
	}
	if n := strings.Count(example, "\n"); n > 20 {
		t.Errorf("the example has %d lines, more than 20", n)
	}
}

// The failure text is that of the example's policy, when its test's service has a third dependency.
func TestReadmesFailureTextIsCurrent(t *testing.T) {
	file, err := golden.Read("examples/httpservice/testdata/netzero/TestQuote.yaml")
	if err != nil {
		t.Fatal(err)
	}
	workload := func(name string, evidence flow.Evidence) flow.Endpoint {
		return flow.Endpoint{Kind: flow.Workload, Name: name, Evidence: evidence}
	}
	to := func(destination flow.Endpoint, port uint16) flow.Flow {
		return flow.Flow{
			Source:      workload("httpservice", flow.ByOption),
			Destination: destination, Protocol: flow.TCP, Port: port, Count: 1,
		}
	}
	external := func(name, addr string) flow.Endpoint {
		return flow.Endpoint{Kind: flow.External, Name: name, Addr: netip.MustParseAddr(addr), Evidence: flow.ByDNS}
	}
	added := to(external("api.discounts.test", "203.0.113.8"), 443)
	added.First = 22 * time.Millisecond
	added.Process = flow.Process{
		PID: 4711, Name: "httpservice.test",
		Command: "/tmp/go-build1/b001/httpservice.test -test.v",
	}

	added.Process.Stack = []flow.Frame{
		{Function: "net.(*Dialer).DialContext", File: "dial.go", Line: 1},
		{Function: "net/http.(*Transport).startDialConnForLocked", File: "transport.go", Line: 1, Started: true},
		{Function: "net/http.(*Client).Do", File: "client.go", Line: 1},
		{Function: modulePath + "/examples/httpservice.get", File: "httpservice.go", Line: 61},
		{Function: modulePath + "/examples/httpservice.(*Service).quote", File: "httpservice.go", Line: 42},
		{Function: modulePath + "/examples/httpservice.(*Service).ServeHTTP", File: "httpservice.go", Line: 28},
	}

	scope := policy.Scope{Subjects: []policy.Subject{{Workload: policy.Workload{Name: "httpservice"}}}}
	dialect := policy.As[golden.Policy](networkpolicy.Dialect{Scope: scope})
	verdict := dialect.Evaluate(file.Policies, added)
	recorded := dialect.Generate([]flow.Flow{
		to(workload("ratesd", flow.ByListener), 7070), to(external("api.quotes.test", "203.0.113.7"), 443), added,
	})
	want := report.Report{
		Test: "TestQuote", Golden: "testdata/netzero/TestQuote.yaml", Workload: "httpservice", Module: modulePath,
		Denied: []report.Denied{
			{
				Flow: added, Addrs: []netip.Addr{added.Destination.Addr}, Policy: verdict.Policy, Reason: verdict.Reason,
				WouldRefuse: true,
			},
		},
		Diff:   golden.Diff(file.Policies, recorded),
		Accept: "go test " + modulePath + "/examples/httpservice -run '^TestQuote$' -update",
	}.String()

	text := block(t, read(t, "README.md"), "```text", "```")
	_, got, _ := strings.Cut(text, "\n") // the line that package testing writes
	got = strings.TrimPrefix(strings.TrimSpace(got), "httpservice_test.go:12: ")
	got = strings.ReplaceAll(got, "\n        ", "\n")
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("(-what netzero prints +README.md)\n%s", diff)
	}
}

func TestReadmeNamesWhatAUserMeets(t *testing.T) {
	readme, troubleshooting := read(t, "README.md"), read(t, "docs/troubleshooting.md")
	mentions := func(what, reason string) {
		t.Helper()
		if !strings.Contains(readme, what) {
			t.Errorf("README.md does not mention %q: %s", what, reason)
		}
	}
	for _, err := range []error{
		cgroup.ErrNoTree, cgroup.ErrReadOnly, cgroup.ErrNotPermitted,
		probe.ErrNotPermitted, probe.ErrNotSupported, probe.ErrNotFiring,
	} {
		if what := "`" + err.Error() + "`"; !strings.Contains(troubleshooting, what) {
			t.Errorf("docs/troubleshooting.md does not mention %q, an error that users see", what)
		}
	}
	mentions("default "+strconv.Itoa(int(probe.DefaultSizes.RingBytes)), "DefaultSizes.RingBytes")
	mentions("default "+strconv.Itoa(int(probe.DefaultSizes.MaxFlows)), "DefaultSizes.MaxFlows")

	mentions("go test "+ways.Exec+" ./...", "the command that tests offer")
	variable := regexp.MustCompile(`"(NETZERO(_[A-Z_]+)?)"`)
	for _, s := range goFiles(t) {
		if s.pkg != "netzerotest" || s.isTest() {
			continue
		}
		for _, m := range variable.FindAllStringSubmatch(s.text, -1) {
			mentions("`"+m[1], "a variable that "+s.name+" reads")
		}
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Recv != nil {
				continue
			}
			mentions("`"+f.Name.Name, "exported by "+s.name)
			if isOption(f) {
				mentions("\n| `"+f.Name.Name+"(", "a row for an option of "+s.name)
			}
		}
	}
}

// isOption reports whether a function returns an Option.
func isOption(f *ast.FuncDecl) bool {
	if f.Type.Results == nil || len(f.Type.Results.List) != 1 {
		return false
	}
	result, ok := f.Type.Results.List[0].Type.(*ast.Ident)
	return ok && result.Name == "Option"
}

func TestArchitectureNamesEveryPackage(t *testing.T) {
	text := read(t, "ARCHITECTURE.md")
	for pkg := range layers {
		if pkg != "" && !strings.Contains(text, pkg) {
			t.Errorf("ARCHITECTURE.md does not mention %s", pkg)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// anchors returns the anchors that GitHub gives the headings of a document.
func anchors(text string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		all[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	return all
}

func TestDocumentsLinkToWhatExists(t *testing.T) {
	files := textFiles(t)
	for name, text := range files {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			target := name
			if m[1] != "" {
				target = path.Join(path.Dir(name), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			} else if m[2] != "" && path.Ext(target) == ".md" && !anchors(files[target])[m[2]] {
				t.Errorf("%s links to %s#%s, and there is no such heading", name, m[1], m[2])
			}
		}
	}
}

func TestAnchorsAreGitHubs(t *testing.T) {
	text := "# Which test, which line\n```sh\n# no heading\n```\n### `Main` and _others_: a-b\n"
	want := map[string]bool{"which-test-which-line": true, "main-and-_others_-a-b": true}
	if diff := cmp.Diff(want, anchors(text)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
