package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/module"
)

func TestPath_TestNames(t *testing.T) {
	long := strings.Repeat("long", 30)
	for _, c := range []struct{ reason, test, want string }{
		{"a test", "TestCheckout", "TestCheckout.yaml"},
		{"a subtest is in a directory", "TestCheckout/refund", "TestCheckout/refund.yaml"},
		{"testing numbers equal names", "TestCheckout/refund#01", "TestCheckout/refund#01.yaml"},
		{"letters of any script", "TestÜber/注文", "TestÜber/注文.yaml"},
		{"a dot inside", "TestV/v1.2", "TestV/v1.2.yaml"},
		{"dates look like a hash", "TestV/on-20240131", "TestV/on-20240131-HASH.yaml"},
		{"colon", "Test/a:b", "Test/a_b-HASH.yaml"},
		{"escape of a NUL", `Test/a\x00b`, "Test/a_x00b-HASH.yaml"},
		{"NUL itself", "Test/a\x00b", "Test/a_b-HASH.yaml"},
		{"invalid UTF-8", "Test/a\xffb", "Test/a_b-HASH.yaml"},
		{"parent directory", "Test/../../x", "Test/__-HASH/__-HASH/x.yaml"},
		{"this directory", "Test/.", "Test/_-HASH.yaml"},
		{"empty parts", "Test//x", "Test/_-HASH/x.yaml"},
		{"slash at the end", "Test/", "Test/_-HASH.yaml"},
		{"slash alone", "/", "_-HASH/_-HASH.yaml"},
		{"Windows device", "Test/CON", "Test/CON-HASH.yaml"},
		{"Windows device in any case, as a directory, with an extension", "Test/nul.x/y", "Test/nul_x-HASH/y.yaml"},
		{"Windows console", "Test/conin$", "Test/conin_-HASH.yaml"},
		{"Windows device with spaces", "Test/LPT1 .x", "Test/LPT1__x-HASH.yaml"},
		{"a word that starts like a device", "Test/console", "Test/console.yaml"},
		{"Windows short name", "Test/git~1", "Test/git_1-HASH.yaml"},
		{"git's own directory", "Test/.git", "Test/_git-HASH.yaml"},
		{"dot at the end", "Test/a.", "Test/a_-HASH.yaml"},
		{"dot at the end of a directory", "Test/a./b", "Test/a_-HASH/b.yaml"},
		{"space at the end", "Test/a ", "Test/a_-HASH.yaml"},
		{"space before", "Test/ a", "Test/_a-HASH.yaml"},
		{"space inside", "Test/a b", "Test/a b.yaml"},
		{"a directory that could be a file", "Test/a.YAML/b", "Test/a_YAML-HASH/b.yaml"},
		{"letters with combining marks", "Test/e\u0301", "Test/é-HASH.yaml"},
		{"a letter that is another one to macOS", "Test/\u212B", "Test/Å-HASH.yaml"},
		{"zero width", "Test/a\u200bb", "Test/a_b-HASH.yaml"},
		{"long part", "Test/" + long, "Test/" + long[:86] + "-HASH.yaml"},
		{"long name of many parts", strings.Repeat("a/", 150) + "b", strings.Repeat("a_", 43) + "-HASH.yaml"},
	} {
		var fresh registry
		dir := t.TempDir()
		got, err := fresh.path(dir, c.test)
		if err != nil {
			t.Errorf("%s: %v", c.reason, err)
			continue
		}
		rel, _ := filepath.Rel(filepath.Join(dir, "testdata", "netzero"), got)
		want := strings.ReplaceAll(c.want, "-HASH", hashOf(c.test))
		if diff := cmp.Diff(want, filepath.ToSlash(rel)); diff != "" {
			t.Errorf("%s: path of %q (-want +got):\n%s", c.reason, c.test, diff)
		}
		checkPath(t, dir, c.test, got)
	}
}

func TestPath_EmptyName(t *testing.T) {
	if got, err := Path(t.TempDir(), ""); err == nil {
		t.Errorf("no error, but %s", got)
	}
}

func TestPath_UnreadableDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "testdata"), "a file")
	if got, err := Path(dir, "Test"); err == nil {
		t.Errorf("no error, but %s", got)
	}
}

func TestPath_CaseConflicts(t *testing.T) {
	for _, c := range []struct {
		reason string
		exist  []string
		test   string
		want   string
	}{
		{"the name is free", nil, "Test/foo", "Test/foo.yaml"},
		{"the file exists", []string{"Test/foo.yaml"}, "Test/foo", "Test/foo.yaml"},
		{"another file exists", []string{"Test/foo.yaml"}, "Test/bar", "Test/bar.yaml"},
		{"a file of another case exists", []string{"Test/Foo.yaml"}, "Test/foo", "Test/foo-HASH.yaml"},
		{"both exist", []string{"Test/Foo.yaml", "Test/foo-HASH.yaml"}, "Test/foo", "Test/foo-HASH.yaml"},
		{"the other one is gone", []string{"Test/foo-HASH.yaml"}, "Test/foo", "Test/foo-HASH.yaml"},
		{"the hashed form of another test", []string{"Test/foo-01234567.yaml"}, "Test/foo", "Test/foo.yaml"},
		{"both were made without us, on Linux", []string{"Test/Foo.yaml", "Test/foo.yaml"}, "Test/foo", "Test/foo.yaml"},
		{"a directory of another case", []string{"Test/Foo/x.yaml"}, "Test/foo/x", "Test/foo-HASH/x.yaml"},
		{"a letter whose other case is in another block", []string{"Test/\u212A.yaml"}, "Test/k", "Test/k-HASH.yaml"},
		{"the file system gives names back decomposed", []string{"Test/e\u0301.yaml"}, "Test/é", "Test/é-HASH.yaml"},
	} {
		dir := t.TempDir()
		root := filepath.Join(dir, "testdata", "netzero")
		for _, name := range c.exist {
			write(t, filepath.Join(root, strings.ReplaceAll(name, "-HASH", hashOf(c.test))), "")
		}
		for run := range 2 {
			var fresh registry // as another process
			got, err := fresh.path(dir, c.test)
			if err != nil {
				t.Errorf("%s: %v", c.reason, err)
				continue
			}
			rel, _ := filepath.Rel(root, got)
			if diff := cmp.Diff(strings.ReplaceAll(c.want, "-HASH", hashOf(c.test)), filepath.ToSlash(rel)); diff != "" {
				t.Errorf("%s, run %d (-want +got):\n%s", c.reason, run, diff)
			}
			write(t, got, "") // the next run finds this file
		}
	}
}

func TestPath_UniquePerTest(t *testing.T) {
	tests := []string{
		"Test/foo", "Test/Foo", "Test/FOO", "test/foo", "TEST/foo/x", "Test/foo/x", "Test/foo/X", "Test/FOO/x",
		"Test/a:b", "Test/a*b", "Test/a_b", "Test/A:B", `Test/a\b`, "Test/a/b", "Test//a/b", "Test/a//b", "Test/a/b/",
		"Test/x", "Test/x.yaml", "Test/x.yaml/y", "Test/x.YAML/y", "Test/x/y", "Test/x./y", "Test/x /y",
		"Test/é", "Test/e\u0301", "Test/É", "Test/\u212A", "Test/k", "Test/K", "Test/ß", "Test/ẞ", "Test/ſ", "Test/s",
		"Test/한", "Test/\u1112\u1161\u11ab", "Test/con", "Test/CON", "Test/con.", "Test", "test", "TEST", "..", "../..", ".",
		strings.Repeat("x", 100), strings.Repeat("x", 101), strings.Repeat("x", 300), strings.Repeat("x/", 300),
		strings.Repeat("x_", 300),
		"Test/foo" + hashOf("Test/foo:"), "Test/foo:", "Test/foo_" + hashOf("Test/foo:"),
	}
	var fresh registry
	dir := t.TempDir()
	seen := make(map[string]string)
	for _, test := range tests {
		got, err := fresh.path(dir, test)
		if err != nil {
			t.Fatal(err)
		}
		checkPath(t, dir, test, got)
		folded := strings.ToLower(strings.ToUpper(got)) // as a file system that ignores case
		if other, ok := seen[folded]; ok {
			t.Errorf("%q and %q both get %s", test, other, got)
		}
		seen[folded] = test
		write(t, got, "") // fails if one test's file is another test's directory
		if again, _ := fresh.path(dir, test); again != got {
			t.Errorf("%q gets %s, and then %s", test, got, again)
		}
	}
}

func TestPath_RemembersReturnedPaths(t *testing.T) {
	dir := t.TempDir() // no file exists: both tests run for the first time, at the same time
	first, err := Path(dir, "Test/foo")
	if err != nil {
		t.Fatal(err)
	}
	second, err := Path(dir, "Test/Foo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.EqualFold(first, second) {
		t.Errorf("%s and %s are the same file on macOS and Windows", first, second)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("Path created %v (%v)", entries, err)
	}
}

func FuzzPath(f *testing.F) {
	for _, test := range []string{"Test/x", "../x", "a:b", "CON", "a//b", "é", "a\x00", strings.Repeat("a/", 200),
		"-12345678"} {
		f.Add(test, test+"/x")
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" {
			return
		}
		var fresh registry
		first, err := fresh.path(dir, a)
		if err != nil {
			t.Fatal(err)
		}
		second, err := fresh.path(dir, b)
		if err != nil {
			t.Fatal(err)
		}
		checkPath(t, dir, a, first)
		checkPath(t, dir, b, second)
		if a != b && strings.EqualFold(first, second) {
			t.Errorf("%q and %q both get %s", a, b, first)
		}
	})
}

// checkPath fails the test unless a path is one that Go modules may hold, below dir.
func checkPath(t *testing.T, dir, test, path string) {
	t.Helper()
	rel, err := filepath.Rel(filepath.Join(dir, "testdata", "netzero"), path)
	if err != nil || !filepath.IsLocal(rel) {
		t.Errorf("the path of %q leaves its directory: %s", test, path)
	}
	if err := module.CheckFilePath(filepath.ToSlash(rel)); err != nil {
		t.Errorf("the path of %q: %v", test, err)
	}
	for _, element := range strings.Split(filepath.ToSlash(rel), "/") {
		if len(element) > maxElement {
			t.Errorf("the path of %q has an element of %d bytes", test, len(element))
		}
	}
	if filepath.Ext(path) != ".yaml" {
		t.Errorf("the path of %q is no YAML file: %s", test, path)
	}
}
