package gotest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// announcing is the source of a package whose test passes and announces a line.
const announcing = `package quiet

import (
	"fmt"
	"testing"

	"github.com/netzero-dev/netzero/internal/gotest"
)

func Test(t *testing.T) {
	gotest.Announce("an announcement")
	gotest.Announce("an announcement")
	fmt.Print("unfinished")
	gotest.Print("::warning::a command\n")
}
`

// failing is the source of a package whose test prints a command while it captures standard output, and fails.
const failing = `package quiet

import (
	"os"
	"testing"

	"github.com/netzero-dev/netzero/internal/gotest"
)

func Test(t *testing.T) {
	stdout := os.Stdout
	os.Stdout = nil
	gotest.PrintFailure("::error::a command\n")
	os.Stdout = stdout
	t.Error("failed")
}
`

// goTest runs go test for a package with this source, and returns its error. What a person sees goes to a stream.
func goTest(t *testing.T, source string, stream *os.File, args ...string) error {
	t.Helper()
	// Within this module, for its internal packages, and in testdata, where ./... does not find it.
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("testdata", "announce-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		os.RemoveAll(dir)
		os.Remove("testdata") // unless it has more
	}()
	if err := os.WriteFile(filepath.Join(dir, "quiet_test.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", append(append([]string{"test", "-count=1"}, args...), "./"+dir)...)
	cmd.Stdout, cmd.Stderr = stream, stream
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true} // no terminal, as below an editor
	return cmd.Run()
}

func passes(t *testing.T, stream *os.File, args ...string) {
	t.Helper()
	if err := goTest(t, announcing, stream, args...); err != nil {
		t.Errorf("go test: %v", err)
	}
}

// go test hides the output of a package that passes. The line is printed all the same, once, to a file, a pipe and a
// socket, as editors use them.
func TestAnnounce_PassingPackage(t *testing.T) {
	for _, args := range [][]string{nil, {"-v"}, {"-exec", "env A=B"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		passes(t, w, args...)
		w.Close()
		checkAnnounced(t, "a pipe", args, r)

		file, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		passes(t, file, args...)
		if _, err := file.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		checkAnnounced(t, "a file", args, file)

		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		theirs := os.NewFile(uintptr(pair[0]), "socket")
		passes(t, theirs, args...)
		theirs.Close()
		checkAnnounced(t, "a socket", args, os.NewFile(uintptr(pair[1]), "socket"))
	}
}

func checkAnnounced(t *testing.T, what string, args []string, from *os.File) {
	t.Helper()
	defer from.Close()
	var text strings.Builder
	if _, err := from.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text.String(), "netzero: an announcement\n"); n != 1 {
		t.Errorf("%s, go test %s: printed %d times:\n%s", what, strings.Join(args, " "), n, text.String())
	}
	if n := strings.Count("\n"+text.String(), "\n::warning::a command\n"); n != 1 {
		t.Errorf("%s, go test %s: the command is printed %d times:\n%s", what, strings.Join(args, " "), n, text.String())
	}
}

func TestPrintFailure_Shown(t *testing.T) {
	for _, args := range [][]string{nil, {"-v"}} {
		file, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		if goTest(t, failing, file, args...) == nil {
			t.Error("the test passes")
		}
		file.Close()
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "\n::error::a command\n"); n != 1 {
			t.Errorf("go test %s: printed %d times:\n%s", strings.Join(args, " "), n, text)
		}
	}
}
