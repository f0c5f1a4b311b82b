// Package ci shows the result of a recording where GitHub Actions looks for it: as annotations in the log, and in the
// step summary. It finds the repository, to which the paths of annotations are relative.
//
// Package report has the texts. Package settings decides whether anything is shown. The package does not import package
// testing: its caller passes attributes to it.
package ci

import (
	"bytes"
	"errors"
	"fmt"
	"go/token"
	"os"
	"path"
	"path/filepath"

	"github.com/netzero-dev/netzero/internal/gotest"
	"github.com/netzero-dev/netzero/internal/report"
)

// summaryVariable names the file to which a step appends its summary. The file exists.
const summaryVariable = "GITHUB_STEP_SUMMARY"

// Annotate prints the annotations of a result.
func Annotate(r report.Result) {
	failures, warnings := report.Annotations(r.Findings())
	if failures != "" {
		gotest.PrintFailure(failures)
	}
	if warnings != "" {
		gotest.Print(warnings)
	}
}

// Summarize appends a section to the step summary, unless it is "". The error says why the summary lacks the section.
// Where there is no step summary, Summarize does nothing.
func Summarize(section string) error {
	if section == "" {
		return nil // before the variable is read: see package settings
	}
	file := os.Getenv(summaryVariable)
	if file == "" {
		return nil
	}
	if err := appendSection(file, section); err != nil {
		return fmt.Errorf("append to the file in %s: %w", summaryVariable, err)
	}
	return nil
}

const (
	maxSummary = 1 << 20 // bytes: GitHub shows no summary of a step that is larger

	// rest replaces the sections that do not fit.
	rest = "\n\nNetZero: the log of this step has the other results. GitHub shows at most 1 MiB of summary.\n\n"
)

// appendSection appends a section to a summary in one write. Test binaries of several packages append at the same time.
// A section that does not fit is left out, and the summary says so once.
func appendSection(name, section string) (err error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }() // which ends the lock
	if err := lock(file); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	text := "\n\n" + section // the step may have left a line unfinished
	if info.Size()+int64(len(text)+len(rest)) > maxSummary {
		text = rest
		end := make([]byte, len(rest))
		if _, err := file.ReadAt(end, max(0, info.Size()-int64(len(rest)))); err == nil && bytes.Equal(end, []byte(rest)) {
			return nil
		}
	}
	if info.Size()+int64(len(text)) > maxSummary {
		return nil // others have filled it
	}
	_, err = file.WriteString(text)
	return err
}

// TreeOf returns where the files of a package are in the repository. root is the directory of the repository. If it is
// empty, or dir is not below it, the nearest directory with .git is the root, or else that with go.mod. dir is the
// directory of the package. golden is the full path of a golden file, which need not exist; it may be empty. tests has
// the functions of the package's tests, with files relative to dir; it may be nil.
//
// It returns the zero value if there is no such directory.
func TreeOf(root, dir, golden string, tests map[string]token.Position) report.Tree {
	dir = resolve(dir)
	if root != "" {
		root = resolve(root)
	}
	for _, file := range []string{".git", "go.mod"} {
		if root == "" || relative(root, dir) == "" {
			root = nearest(dir, file)
		}
	}
	if root == "" {
		return report.Tree{}
	}
	tree := report.Tree{Package: relative(root, dir)}
	if golden != "" {
		tree.Golden = relative(root, filepath.Join(resolve(filepath.Dir(golden)), filepath.Base(golden)))
	}
	if module := nearest(dir, "go.mod"); module != "" {
		tree.Module = relative(root, module)
	}
	if len(tests) == 0 {
		return tree
	}
	tree.Tests = make(map[string]report.Place)
	for function, p := range tests {
		tree.Tests[function] = report.Place{File: path.Join(tree.Package, filepath.ToSlash(p.Filename)), Line: p.Line}
	}
	return tree
}

// nearest returns the directory of a file in a directory or the nearest one above it, or "".
func nearest(dir, file string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// relative returns a path below a directory, with slashes, or "" if it is not below it.
func relative(root, name string) string {
	rel, err := filepath.Rel(root, name)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// resolve returns a path without symbolic links, as far as it exists.
func resolve(name string) string {
	if resolved, err := filepath.EvalSymlinks(name); err == nil {
		return resolved
	}
	return name
}
