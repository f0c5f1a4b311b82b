package repo_test

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Readers copy the examples: these import what a user of this module can import, and nothing else.
func TestExamplesImportNothingInternal(t *testing.T) {
	examples := 0
	for _, s := range goFiles(t) {
		if !strings.HasPrefix(s.name, "examples/") {
			continue
		}
		examples++
		for _, imported := range s.imports() {
			if isInternal(imported) {
				t.Errorf("%s imports %s, which no user can", s.name, imported)
			}
		}
	}
	if examples == 0 {
		t.Error("there are no examples")
	}
}

func isInternal(imported string) bool {
	return slices.Contains(strings.Split(imported, "/"), "internal")
}

// pinned is an action at the digest of a commit, with its version as a comment. A tag can be moved, a digest cannot.
var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)

var uses = regexp.MustCompile(`(?m)^[ -]*uses: *(.*)$`)

func TestActionsArePinned(t *testing.T) {
	actions := 0
	for name, text := range textFiles(t) {
		if path.Dir(name) != ".github/workflows" {
			continue
		}
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			actions++
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s uses %s, want OWNER/NAME@<40 hex digits> # vX.Y.Z", name, m[1])
			}
		}
	}
	if actions == 0 {
		t.Error("no workflow uses an action: are they looked for where they are?")
	}
}

func TestActionsThatAreNotPinnedAreFound(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 3)[:40]
	for _, line := range []string{
		"- uses: actions/checkout@v7", "  uses: actions/checkout@main", "- uses: actions/checkout@" + digest,
		"- uses: actions/checkout@" + digest[1:] + " # v7.0.1", "- uses: actions/checkout # v7.0.1",
	} {
		m := uses.FindStringSubmatch(line)
		if m == nil || pinned.MatchString(m[1]) {
			t.Errorf("%q passes", line)
		}
	}
	m := uses.FindStringSubmatch("    - uses: actions/checkout@" + digest + " # v7.0.1")
	if m == nil || !pinned.MatchString(m[1]) {
		t.Error("an action that is pinned does not pass")
	}
}

// A module that dependabot.yml does not list is never updated; one that neither MODULES nor CLUSTER lists is never
// tested.
func TestModulesAreListed(t *testing.T) {
	var dependabot struct {
		Updates []struct {
			Ecosystem   string   `json:"package-ecosystem"`
			Directories []string `json:"directories"`
		} `json:"updates"`
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/dependabot.yml")), &dependabot); err != nil {
		t.Fatal(err)
	}
	var updated []string
	for _, u := range dependabot.Updates {
		if u.Ecosystem == "gomod" {
			updated = append(updated, u.Directories...)
		}
	}
	slices.Sort(updated)
	modules := regexp.MustCompile(`(?m)^MODULES := (.*)$(?s:.*?)^CLUSTER := (.*)$`).FindStringSubmatch(read(t, "Makefile"))
	if modules == nil {
		t.Fatal("the Makefile has no MODULES, or no CLUSTER after it")
	}
	tested := strings.Fields(modules[1] + " " + modules[2])
	slices.Sort(tested)

	var nested []string
	for name := range textFiles(t) {
		if path.Base(name) == "go.mod" && name != "go.mod" && !strings.Contains(name, "testdata/") {
			nested = append(nested, path.Dir(name))
		}
	}
	slices.Sort(nested)
	if !slices.Equal(nested, tested) {
		t.Errorf("the Makefile's MODULES and CLUSTER are %v, want %v", tested, nested)
	}
	all := []string{"/"}
	for _, dir := range nested {
		all = append(all, "/"+dir)
	}
	if !slices.Equal(all, updated) {
		t.Errorf("the gomod directories of dependabot.yml are %v, want %v", updated, all)
	}
}

var kernelPackage = regexp.MustCompile(`(?m)^[0-9a-f]{64} linux-(?:image|binary)-(\d+\.\d+)\S*-cloud-(\w+) `)

// The kernels that CI boots are those of the list.
func TestCIRunsEveryKernel(t *testing.T) {
	var workflow struct {
		Jobs struct {
			Kernels struct {
				Strategy struct {
					Matrix struct {
						Kernel []string `json:"kernel"`
					} `json:"matrix"`
				} `json:"strategy"`
			} `json:"kernels"`
		} `json:"jobs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/workflows/ci.yml")), &workflow); err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range kernelPackage.FindAllStringSubmatch(read(t, "internal/kernels/checksums.txt"), -1) {
		kernel := m[1]
		if m[2] != "amd64" {
			kernel += "/" + m[2]
		}
		listed = append(listed, kernel)
	}
	if got := workflow.Jobs.Kernels.Strategy.Matrix.Kernel; len(listed) == 0 || !slices.Equal(got, listed) {
		t.Errorf("the matrix of kernels is %v, want %v", got, listed)
	}
}
