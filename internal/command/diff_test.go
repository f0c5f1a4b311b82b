package command

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/recording"
)

// policyTo returns a NetworkPolicy that lets checkout reach some pods at a port.
func policyTo(name, port string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: checkout}\n" +
		"spec: {podSelector: {matchLabels: {app: checkout}}, policyTypes: [Egress], egress: [" +
		"{to: [{podSelector: {matchLabels: {app: " + name + "}}}], ports: [{port: " + port + "}]}]}\n"
}

// inDir changes to a new directory with these files.
func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

const moreAndLess = "checkout\n" +
	"  + checkout may now reach cache on 6379/TCP (egress)\n" +
	"  - checkout may no longer reach orders-db on 5432/TCP (egress)\n"

func TestDiff(t *testing.T) {
	inDir(t, map[string]string{
		"old.yaml": policyTo("orders-db", "5432"), "new.yaml": policyTo("cache", "6379"),
		"same.yaml": "# another text\n" + strings.Replace(policyTo("orders-db", "5432"), "[{port: 5432}]",
			"[{port: 5432, protocol: TCP}]", 1),
		"invalid.yaml":    "kind: NetworkPolicy\n",
		"old/a.yaml":      policyTo("orders-db", "5432"),
		"new/a.yaml":      policyTo("cache", "6379"),
		"old/sub/b.yaml":  policyTo("orders-db", "5432"),
		"new/sub/b.yaml":  policyTo("orders-db", "5432"),
		"new/sub/c.yml":   policyTo("orders-db", "5432"),
		"new/sub/README":  "no policy",
		"broken/test.txt": "",
	})
	for _, c := range []struct {
		reason       string
		args         []string
		stdout       string
		stderr       string // a part of it
		wantedStatus int
	}{
		{"a difference", []string{"old.yaml", "new.yaml"}, moreAndLess, "", 1},
		{"none", []string{"old.yaml", "same.yaml"}, "", "", 0},
		{"none, for a comment", []string{"-format", "markdown", "old.yaml", "same.yaml"},
			"The policies allow the same as before.\n", "", 0},
		{"an empty file", []string{os.DevNull, "old.yaml"}, "checkout\n  - checkout could reach everything, " +
			"and now egress rules allow only orders-db on 5432/TCP (egress)\n", "", 1},
		{"directories", []string{"old", "new"}, "a.yaml:\n\n" + moreAndLess + "\nsub/c.yml:\n\ncheckout\n" +
			"  - checkout could reach everything, and now egress rules allow only orders-db on 5432/TCP (egress)\n", "", 1},
		{"a directory and a file", []string{"old", "new.yaml"}, "", "a file and a directory", 2},
		{"no such directory", []string{"none", "new"}, "", "stat none: no such file or directory", 2},
		{"directories without policies", []string{"broken", "broken"}, "", "no file *.yaml or *.yml below broken", 2},
		{"no such file", []string{"old.yaml", "none.yaml"}, "", "none.yaml", 2},
		{"an invalid file", []string{"old.yaml", "invalid.yaml"}, "", "invalid.yaml", 2},
		{"one argument", []string{"old.yaml"}, "", "1 arguments: want OLD and NEW", 2},
		{"standard input twice", []string{"-", "-"}, "", "both files are standard input", 2},
		{"an unknown format", []string{"-format", "html", "old.yaml", "new.yaml"}, "", `unknown format "html"`, 2},
		{"no recordings", []string{"-recordings", "broken", "old.yaml", "new.yaml"}, "", "no file *.json in broken", 2},
	} {
		t.Run(c.reason, func(t *testing.T) {
			status, stdout, stderr := netzero(append([]string{"diff"}, c.args...)...)
			if diff := cmp.Diff(c.stdout, stdout); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if status != c.wantedStatus || !strings.Contains(stderr, c.stderr) || (stderr != "") != (c.stderr != "") {
				t.Errorf("status %d, want %d; stderr %q, want %q in it", status, c.wantedStatus, stderr, c.stderr)
			}
		})
	}
}

func TestDiff_StandardInput(t *testing.T) {
	inDir(t, map[string]string{"in": policyTo("orders-db", "5432"), "new.yaml": policyTo("cache", "6379")})
	in, err := os.Open("in")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	stdin := os.Stdin
	os.Stdin = in
	t.Cleanup(func() { os.Stdin = stdin })
	status, stdout, stderr := netzero("diff", "-", "new.yaml")
	if diff := cmp.Diff(moreAndLess, stdout); diff != "" || status != 1 {
		t.Errorf("status %d, stderr %q (-want +got)\n%s", status, stderr, diff)
	}
}

func TestDiff_Recordings(t *testing.T) {
	inDir(t, map[string]string{
		"testdata/netzero/TestA.yaml": policyTo("orders-db", "5432"), "new.yaml": policyTo("cache", "6379"),
		"recordings/empty": "",
	})
	for _, test := range []string{"TestA", "TestB"} { // the second belongs to another file
		file := recording.File{
			Test: test, Package: "example.com/shop", Golden: "testdata/netzero/" + test + ".yaml",
			Placed: recording.Placed{
				Workloads: []recording.Workload{{Name: "checkout", PodLabels: map[string]string{"app": "checkout"}}},
				Flows: []recording.Flow{{
					Source:      recording.Endpoint{Kind: recording.KindWorkload, Name: "checkout"},
					Destination: recording.Endpoint{Kind: recording.KindWorkload, Name: "orders-db"},
					Protocol:    "TCP", Port: 5432, Count: 1,
				}},
			},
		}
		if err := file.Write("recordings/" + test + ".json"); err != nil {
			t.Fatal(err)
		}
	}
	want := moreAndLess + "      checkout -> orders-db:5432/TCP, recorded by example.com/shop.TestA\n" +
		"        before: allowed, policy checkout: rule 0 (pods app=orders-db)\n" +
		"        now: denied, policy checkout: no rule is for orders-db\n"
	status, stdout, stderr := netzero("diff", "-recordings", "recordings", "testdata/netzero/TestA.yaml", "new.yaml")
	if diff := cmp.Diff(want, stdout); diff != "" || status != 1 {
		t.Errorf("status %d, stderr %q (-want +got)\n%s", status, stderr, diff)
	}
}

// failing is an output that cannot be written.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestDiff_OutputCannotBeWritten(t *testing.T) {
	inDir(t, map[string]string{"old.yaml": policyTo("orders-db", "5432"), "new.yaml": policyTo("cache", "6379")})
	var stderr bytes.Buffer
	if status := dispatch([]string{"diff", "old.yaml", "new.yaml"}, failing{}, &stderr); status != 2 {
		t.Errorf("status %d, want 2; stderr %q", status, stderr.String())
	}
}
