package repo_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// ofPackage is a Go function that a comment of the C names, as in "Probe.Lost of package probe".
var ofPackage = regexp.MustCompile(`([\w.]+) of package (\w+)`)

// undeclared returns the Go functions and methods that the comments of a C file name and that no package declares.
func undeclared(c string, files map[string]string) (missing []string) {
	for _, m := range ofPackage.FindAllStringSubmatch(c, -1) {
		receiver, name, isMethod := strings.Cut(m[1], ".")
		declaration := `(?m)^func ` + receiver + `\(`
		if isMethod {
			declaration = `(?m)^func \((?:\w+ )?\*?` + receiver + `\) ` + name + `\(`
		}
		found := false
		for file, text := range files {
			found = found || path.Dir(file) == "internal/"+m[2] && strings.HasSuffix(file, ".go") &&
				regexp.MustCompile(declaration).MatchString(text)
		}
		if !found {
			missing = append(missing, m[0])
		}
	}
	return missing
}

func TestGoNamesInCAreDeclared(t *testing.T) {
	files := textFiles(t)
	for name, text := range files {
		if ext := path.Ext(name); path.Dir(name) != "bpf" || ext != ".h" && ext != ".c" {
			continue
		}
		for _, missing := range undeclared(text, files) {
			t.Errorf("%s: %s is not declared", name, missing)
		}
	}
}

func TestGoNamesInCThatAreNotDeclaredAreFound(t *testing.T) {
	files := map[string]string{
		"internal/probe/a.go":  "package probe\n\nfunc Open() {}\n\nfunc (p *Probe) Lost() int { return 0 }\n",
		"internal/cgroup/a.go": "package cgroup\n\nfunc Find() {}\n",
	}
	for _, row := range []struct {
		reason, comment string
		missing         bool
	}{
		{"a function", "(Open of package probe)", false},
		{"a method", "(Probe.Lost of package probe)", false},
		{"an old name", "(Shut of package probe)", true},
		{"a method without its type", "(Lost of package probe)", true},
		{"a method of another type", "(Ring.Lost of package probe)", true},
		{"a function of another package", "(Find of package probe)", true},
	} {
		if got := undeclared(row.comment, files); (len(got) == 1) != row.missing {
			t.Errorf("%s: %q misses %q", row.reason, row.comment, got)
		}
	}
}
