package golden

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMain lets the test binary be its own child process: one that updates a file until it is killed.
func TestMain(m *testing.M) {
	path := os.Getenv("GOLDEN_TEST_UPDATE")
	if path == "" {
		os.Exit(m.Run())
	}
	for i := 0; ; i++ {
		_, err := Update(path, func(*File) ([]byte, error) {
			return Format(Header{Test: fmt.Sprint("Test", i)}, list(policy("shop", i%1000+1), policy("web", 1)))
		})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if i == 0 {
			fmt.Println("updating")
		}
	}
}

// Whenever an update is killed, the file is the old one or the new one, and the next update leaves nothing but it.
func TestUpdate_Killed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "shop.yaml")
	for range 30 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "GOLDEN_TEST_UPDATE="+path)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		if n, err := out.Read(make([]byte, 100)); n == 0 {
			t.Errorf("the child says nothing: %v", err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait() // killed
		if file, err := Read(path); err != nil || len(file.Policies) != 2 {
			t.Fatalf("after a kill: %v, %v", file, err)
		}
	}
	left := filepath.Join(dir, ".netzero-123.tmp") // by one that was killed at the worst moment
	for what, update := range map[string]func() error{
		"Update": func() error { _, err := Update(path, func(*File) ([]byte, error) { return nil, nil }); return err },
		"Write":  func() error { return Write(path, []byte("# nothing\n")) },
	} {
		write(t, left, "half")
		write(t, filepath.Join(dir, ".netzero-user"), "somebody's own")
		if err := update(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Errorf("%s leaves %v, %v", what, entries, err)
		}
	}
}
