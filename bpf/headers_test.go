package bpf

import (
	"os/exec"
	"path/filepath"
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
