package launch

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestRemoveImages_OfTheRepositoryOnly(t *testing.T) {
	testenv.RequireDocker(t)
	engine, _, err := openEngine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	repository := "netzero-test/" + strings.ToLower(rand.Text()[:10])
	other := repository + "-other:1"
	want := []string{repository + ":1", repository + ":2"}
	for _, name := range append(want[:2:2], other) {
		// Content of its own, otherwise the names would be those of one image.
		file := filepath.Join(t.TempDir(), "helper")
		if err := os.WriteFile(file, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := archive(file)
		if err != nil {
			t.Fatal(err)
		}
		source := client.ImageImportSource{Source: content, SourceName: "-"}
		result, err := engine.ImageImport(t.Context(), source, name, client.ImageImportOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, result); err != nil {
			t.Error(err)
		}
		result.Close()
	}
	t.Cleanup(func() {
		if removed, err := removeImages(context.Background(), engine, repository+"-other"); err != nil || len(removed) != 1 {
			t.Errorf("of another repository: %v (%v)", removed, err)
		}
	})
	for _, want := range [][]string{want, nil} {
		removed, err := removeImages(t.Context(), engine, repository)
		slices.Sort(removed)
		if diff := cmp.Diff(want, removed); diff != "" || err != nil {
			t.Errorf("removed (-want +got, %v):\n%s", err, diff)
		}
	}
	if _, err := engine.ImageInspect(t.Context(), other); err != nil {
		t.Errorf("an image of another repository: %v", err)
	}
}
