package editor

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const tool Exec = "go tool netzero exec"

func TestMergeSettings(t *testing.T) {
	const flags = `"'-exec=go tool netzero exec'"`
	for _, c := range []struct{ reason, text, want string }{
		{"no file", "", "{\n    \"go.testEnvVars\": {\n        \"GOFLAGS\": " + flags + "\n    }\n}\n"},
		{"an empty object", "{}", "{\n    \"go.testEnvVars\": {\n        \"GOFLAGS\": " + flags + "\n    }\n}"},
		{
			"comments and a trailing comma stay",
			"// ours\n{\n\t// tabs\n\t\"editor.tabSize\": 4, /* wide */\n\t\"a\": [1, 2,], // last\n}\n",
			"// ours\n{\n\t\"go.testEnvVars\": {\n\t\t\"GOFLAGS\": " + flags + "\n\t},\n" +
				"\t// tabs\n\t\"editor.tabSize\": 4, /* wide */\n\t\"a\": [1, 2,], // last\n}\n",
		},
		{
			"other variables stay",
			"{\n  \"go.testEnvVars\": {\n    \"A\": \"1\" // one\n  }\n}\n",
			"{\n  \"go.testEnvVars\": {\n    \"GOFLAGS\": " + flags + ",\n    \"A\": \"1\" // one\n  }\n}\n",
		},
		{
			"other flags stay",
			"{\n  \"go.testEnvVars\": {\"GOFLAGS\": \"-tags=integration\"}\n}\n",
			"{\n  \"go.testEnvVars\": {\"GOFLAGS\": \"-tags=integration '-exec=go tool netzero exec'\"}\n}\n",
		},
		{
			"flags of all tools count for tests too",
			"{\n  \"go.toolsEnvVars\": {\"GOFLAGS\": \"-mod=vendor\"}\n}\n",
			"{\n  \"go.testEnvVars\": {\n    \"GOFLAGS\": \"-mod=vendor '-exec=go tool netzero exec'\"\n  },\n" +
				"  \"go.toolsEnvVars\": {\"GOFLAGS\": \"-mod=vendor\"}\n}\n",
		},
		{"one line", `{"a": "}//{", "b": null}`,
			"{\n    \"go.testEnvVars\": {\n        \"GOFLAGS\": " + flags + "\n    },\n    \"a\": \"}//{\", \"b\": null}"},
		{"lines of Windows", "{\r\n  \"a\": 1\r\n}\r\n",
			"{\r\n  \"go.testEnvVars\": {\r\n    \"GOFLAGS\": " + flags + "\r\n  },\r\n  \"a\": 1\r\n}\r\n"},
		{"a comment where variables were", "{\n  \"go.testEnvVars\": { // none yet\n  }\n}",
			"{\n  \"go.testEnvVars\": {\n    \"GOFLAGS\": " + flags + "\n  // none yet\n  }\n}"},
		{"the last of two counts", "{\n  \"go.testEnvVars\": 1,\n  \"go.testEnvVars\": {}\n}",
			"{\n  \"go.testEnvVars\": 1,\n  \"go.testEnvVars\": {\n    \"GOFLAGS\": " + flags + "\n  }\n}"},
	} {
		got, err := mergeSettings(c.text, tool)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.reason, diff)
		}
		if again, err := mergeSettings(got, tool); err != nil || again != got {
			t.Errorf("%s: the second time changes the file (%v):\n%s", c.reason, err, again)
		}
	}
}

func TestMergeSettings_Refuses(t *testing.T) {
	for _, c := range []struct{ reason, text, want string }{
		{"no object", "[]", "it is no JSON object"},
		{"malformed", "{\n\"a\" 1}", "line 2: a colon is missing"},
		{"cut off", "{\n\"a\": {", "line 2: the name of a member is missing"},
		{"a string without an end", `{"a": "b`, "line 1: the string does not end"},
		{"a comment without an end", "{} /*", "line 1: the comment does not end"},
		{"two values", "{} {}", "line 1: something follows it"},
		{"no comma", `{"a": 1 "b": 2}`, "line 1: a comma or } is missing"},
		{"no value", `{"a": }`, "line 1: a value is missing"},
		{"variables are no object", `{"go.testEnvVars": []}`, "go.testEnvVars is no object"},
		{"GOFLAGS is no string", `{"go.testEnvVars": {"GOFLAGS": null}}`, "GOFLAGS is no string"},
		{"another -exec", `{"go.testEnvVars": {"GOFLAGS": "-exec=sudo"}}`, "GOFLAGS has another -exec: -exec=sudo"},
	} {
		if got, err := mergeSettings(c.text, tool); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %q and error %v, want %s", c.reason, got, err, c.want)
		}
	}
}

// FuzzMergeSettings checks that what was in the file is still in it, in the same order.
func FuzzMergeSettings(f *testing.F) {
	for _, text := range []string{"", "{}", "{\"a\":1}", "// x\n{\"go.testEnvVars\": {\"A\": \"b\", /**/},}", "{ \r\n}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := mergeSettings(text, tool)
		if err != nil {
			return
		}
		at := 0
		for _, r := range strings.Join(strings.Fields(text), "") {
			n := strings.IndexRune(got[at:], r)
			if n < 0 {
				t.Fatalf("%q became %q", text, got)
			}
			at += n
		}
	})
}

func TestFlags_GoUnderstandsThem(t *testing.T) {
	dir := t.TempDir()
	odd := filepath.Join(dir, "a place")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(odd, "netzero")
	script := "#!/bin/sh\n[ \"$1\" = exec ] || exit 9\nshift\necho wrapped\nexec \"$@\"\n"
	for name, text := range map[string]string{
		wrapper:                           script,
		filepath.Join(dir, "go.mod"):      "module example.test/m\n\ngo 1.25\n",
		filepath.Join(dir, "run_test.go"): "package m\n\nimport \"testing\"\n\nfunc TestRun(t *testing.T) {}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command, err := Program(wrapper)
	if err != nil {
		t.Fatal(err)
	}
	flags, err := command.addFlags("-mod=mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"environment", "go env -w"} {
		t.Run(how, func(t *testing.T) {
			env := append(os.Environ(), "GOENV="+filepath.Join(t.TempDir(), "env"), "GOWORK=off", "GOFLAGS=")
			run := func(args ...string) string {
				cmd := exec.Command("go", args...)
				cmd.Dir, cmd.Env = dir, env
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("go %q: %v\n%s", args, err, out)
				}
				return string(out)
			}
			if how == "environment" {
				env = append(env, "GOFLAGS="+flags)
			} else {
				run("env", "-w", "GOFLAGS="+flags)
			}
			if out := run("test", "-count=1", "-v", "."); !strings.HasPrefix(out, "wrapped\n=== RUN") {
				t.Errorf("GOFLAGS=%s: %s", flags, out)
			}
			run("vet", ".") // which has no -exec
		})
	}
}

func TestProgram_QuoteInThePath(t *testing.T) {
	if got, err := Program("/it's here/netzero"); err == nil {
		t.Errorf("got %s", got)
	}
}

func TestWrite_VSCode(t *testing.T) {
	dir := t.TempDir()
	for _, changed := range []bool{true, false} {
		w, err := Editors[0].Write(dir, tool)
		if err != nil || w.Changed != changed || w.Path != filepath.Join(dir, ".vscode", "settings.json") {
			t.Errorf("got %+v (%v), want changed %t", w, err, changed)
		}
	}
	path := filepath.Join(dir, ".vscode", "settings.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Editors[0].Write(dir, tool)
	if text, _ := os.ReadFile(path); !errors.Is(err, ErrPaste) || string(text) != "{" {
		t.Errorf("got error %v, and the file has %q", err, text)
	}
}

func TestWrite_KeepsLinkAndMode(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "shared.json")
	path := filepath.Join(dir, ".vscode", "settings.json")
	err := errors.Join(os.WriteFile(to, []byte("{}"), 0o600), os.Mkdir(filepath.Dir(path), 0o755), os.Symlink(to, path))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Editors[0].Write(dir, tool); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 10 {
		t.Errorf("the file is %v (%v)", info, err)
	}
	if link, err := os.Readlink(path); err != nil || link != to {
		t.Errorf("the link is %q (%v)", link, err)
	}
}

func TestWrite_GoLand(t *testing.T) {
	dir := t.TempDir()
	goland := Editors[1]
	if w, err := goland.Write(dir, tool); !errors.Is(err, ErrPaste) {
		t.Errorf("without .idea: %+v (%v)", w, err)
	}
	err := errors.Join(os.Mkdir(filepath.Join(dir, ".idea"), 0o755),
		os.WriteFile(filepath.Join(dir, ".idea", "shop & co.iml"), nil, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	command, err := Program("/a place/netzero")
	if err != nil {
		t.Fatal(err)
	}
	for _, changed := range []bool{true, false} {
		if w, err := goland.Write(dir, command); err != nil || w.Changed != changed {
			t.Errorf("got %+v (%v), want changed %t", w, err, changed)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, golandFile))
	if err != nil {
		t.Fatal(err)
	}
	var component struct {
		Configuration struct {
			Name   string `xml:"name,attr"`
			Module struct {
				Name string `xml:"name,attr"`
			} `xml:"module"`
			Parameters struct {
				Value string `xml:"value,attr"`
			} `xml:"go_parameters"`
			Kind struct {
				Value string `xml:"value,attr"`
			} `xml:"kind"`
		} `xml:"configuration"`
	}
	if err := xml.Unmarshal(text, &component); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(component.Configuration)
	if want := `{NetZero {shop & co} {-exec="\"/a place/netzero\" exec"} {DIRECTORY}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if w, err := goland.Write(dir, tool); !errors.Is(err, ErrPaste) {
		t.Errorf("a file with other content: %+v (%v)", w, err)
	}
}

func TestSettings(t *testing.T) {
	for name, want := range map[string]string{
		"vscode": `"GOFLAGS": "'-exec=go tool netzero exec'"`,
		"goland": `Go tool arguments:  -exec="go tool netzero exec"`,
		"neovim": `env = { GOFLAGS = "'-exec=go tool netzero exec'" },`,
	} {
		e, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Settings(tool); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err := Find("ed"); err == nil || !strings.Contains(err.Error(), "vscode, goland, neovim") {
		t.Errorf("got %v", err)
	}
	if w, err := Editors[2].Write(t.TempDir(), tool); !errors.Is(err, ErrPaste) {
		t.Errorf("neovim: %+v (%v)", w, err)
	}
}
