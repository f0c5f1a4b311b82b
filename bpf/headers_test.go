package bpf

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/testenv"
)

// A header that relies on what others include breaks when they change.
func TestHeaders_CompileAlone(t *testing.T) {
	testenv.RequireCommand(t, "clang-14", "clang-14")
	testenv.RequireCommand(t, "gcc", "gcc")
	multiarch, err := exec.Command("gcc", "-print-multiarch").Output() // the directory of this architecture's headers
	if err != nil {
		t.Fatal(err)
	}
	headers, err := filepath.Glob("*.h")
	if err != nil || len(headers) == 0 {
		t.Fatalf("headers: %q, %v", headers, err)
	}
	for _, header := range headers {
		clang := exec.Command("clang-14", "-target", "bpfel", "-fsyntax-only", "-Wall", "-Wextra", "-Wpadded", "-Werror",
			"-idirafter", "/usr/include/"+strings.TrimSpace(string(multiarch)), "-I.", "-x", "c", "-")
		clang.Stdin = strings.NewReader(`#include "` + header + `"` + "\n")
		if out, err := clang.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", header, err, out)
		}
	}
}

// A header that uses what another one defines includes that one itself, so that a reader knows where to look.
func TestHeaders_IncludeWhatTheyUse(t *testing.T) {
	files, err := filepath.Glob("*.[ch]")
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %q, %v", files, err)
	}
	texts, definedIn := make(map[string]string), make(map[string]string)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = comment.ReplaceAllString(string(text), "")
		if strings.HasSuffix(file, ".c") {
			continue // no file includes it
		}
		for _, definition := range definitions {
			for _, match := range definition.FindAllStringSubmatch(texts[file], -1) {
				definedIn[match[1]] = file
			}
		}
	}
	if len(definedIn) < 100 {
		t.Fatalf("only %d definitions found", len(definedIn))
	}
	for file, text := range texts {
		for _, use := range uses.FindAllStringSubmatch(text, -1) {
			name := use[1] + use[2]
			if in, ok := definedIn[name]; ok && in != file && !strings.Contains(text, `#include "`+in+`"`) {
				t.Errorf("%s uses %s and does not include %s", file, name, in)
			}
		}
	}
}

var (
	comment     = regexp.MustCompile(`(?s)/\*.*?\*/`)
	definitions = []*regexp.Regexp{
		regexp.MustCompile(`(?m)^(?:static __always_inline|__noinline)[^\n(]*?\*?(\w+)\(`), // functions
		regexp.MustCompile(`(?m)^#define\s+(\w+)`),
		regexp.MustCompile(`(?m)^((?:struct|enum) \w+) \{`),
	}
	// calls, macros and types
	uses = regexp.MustCompile(`\b(\w+)\(|\b([A-Z][A-Z0-9_]+|(?:struct|enum) \w+)\b`)
)
