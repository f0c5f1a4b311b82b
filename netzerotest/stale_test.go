package netzerotest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Other tests write their files, by way of temporary ones, while this one looks.
func TestStaleFilesAreFoundWhileOthersComeAndGo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "z.yaml"), []byte("# test: TestGone\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var done sync.WaitGroup
	defer done.Wait()
	defer close(end)
	for _, name := range []string{"a.yaml", "b"} {
		done.Go(func() {
			path := filepath.Join(dir, name)
			for {
				select {
				case <-end:
					return
				default:
				}
				if name == "b" {
					_ = os.MkdirAll(filepath.Join(path, "c"), 0o755)
					_ = os.RemoveAll(path)
					continue
				}
				_ = os.WriteFile(path, nil, 0o644)
				_ = os.Remove(path)
			}
		})
	}
	for range 2000 {
		stale, err := staleGoldens(dir, []string{"TestKept"})
		if err != nil {
			t.Fatal(err)
		}
		if len(stale) != 1 || !strings.Contains(stale[0].why, "TestGone") {
			t.Fatalf("got %v, want the one of TestGone", stale)
		}
	}
}
