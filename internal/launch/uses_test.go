//go:build unix

package launch

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCanRecord(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	filler := string(make([]byte, 1<<20-7)) // the name lies in two of the parts that are read
	records := write("records.test", filler+string(marker)+filler, 0o755)
	other := write("other.test", filler+filler, 0o755)
	source := write("recorder.go", string(marker), 0o644)
	for _, row := range []struct {
		command []string
		want    bool
	}{
		{[]string{records}, true},
		{[]string{other, "-test.v"}, false},
		{[]string{"/bin/sh", "A=b", records, "-test.v"}, true},
		{[]string{"/bin/sh", other, "-test.testlogfile=" + records}, false},
		{[]string{other, source, dir}, false},
	} {
		if got, err := CanRecord(row.command[0], row.command[1:]...); err != nil || got != row.want {
			t.Errorf("%q: %v, %v", row.command, got, err)
		}
	}
	if _, err := CanRecord(filepath.Join(dir, "none")); err == nil {
		t.Error("no error for a program that does not exist")
	}
}
