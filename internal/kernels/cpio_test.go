package kernels

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCpio_Newc(t *testing.T) {
	var b bytes.Buffer
	w := newCPIOWriter(&b)
	w.device("dev/console", 5, 1)
	w.file("a", 0o755, []byte("hello"))
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	const z = "00000000"
	want := "070701" + "00000001" + "000041ED" + z + z + "00000002" + z + z + z + z + z + z + "00000004" + z +
		"dev\x00\x00\x00" +
		"070701" + "00000002" + "00002180" + z + z + "00000001" + z + z + z + z + "00000005" + "00000001" + "0000000C" +
		z + "dev/console\x00\x00\x00" +
		"070701" + "00000003" + "000081ED" + z + z + "00000001" + z + "00000005" + z + z + z + z + "00000002" + z +
		"a\x00" + "hello\x00\x00\x00" +
		"070701" + z + z + z + z + "00000001" + z + z + z + z + z + z + "0000000B" + z + "TRAILER!!!\x00\x00\x00\x00"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

func TestCpio_Reproducible(t *testing.T) {
	var archives [2]bytes.Buffer
	for i := range archives {
		w := newCPIOWriter(&archives[i])
		w.file("src/p/testdata/x", 0o644, []byte("x"))
		w.file("src/p/testdata/y", 0o644, nil)
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("the archives differ")
	}
	if n := bytes.Count(archives[0].Bytes(), []byte("src/p\x00")); n != 1 {
		t.Errorf("a directory is in the archive %d times", n)
	}
}

// brokenWriter takes n bytes.
type brokenWriter struct{ n int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.n -= len(b); w.n < 0 {
		return 0, errBroken
	}
	return len(b), nil
}

func TestCpio_WriteError(t *testing.T) {
	for n := range 500 {
		w := newCPIOWriter(&brokenWriter{n})
		w.file("a/b", 0o644, []byte("content"))
		var whole bytes.Buffer
		good := newCPIOWriter(&whole)
		good.file("a/b", 0o644, []byte("content"))
		if good.close(); n >= whole.Len() {
			return
		}
		if err := w.close(); !errors.Is(err, errBroken) {
			t.Fatalf("after %d bytes: error %v", n, err)
		}
	}
	t.Fatal("never got so far")
}
