package golden

import (
	"os"
	"path/filepath"
	"testing"
)

// A file of a whole package names it, and belongs to no single test.
func TestHeader_Package(t *testing.T) {
	h := Header{Package: "example.test/shop", Command: "go test example.test/shop -update"}
	text, err := Format(h, list(policy("shop", 1)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "package.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !file.Header.equal(h) {
		t.Errorf("got the header %+v, want %+v", file.Header, h)
	}
	for test, want := range map[string]string{
		"package example.test/shop": "",
		"package example.test/cart": "package example.test/shop",
		"TestShop":                  "package example.test/shop",
	} {
		if got := file.OtherTest(test); got != want {
			t.Errorf("for %s it belongs to %q, want %q", test, got, want)
		}
	}
	rewritten, err := file.Rewrite(h, list(policy("shop", 1)))
	if err != nil || string(rewritten) != string(text) {
		t.Errorf("rewritten it is\n%s, %v, want\n%s", rewritten, err, text)
	}
}
