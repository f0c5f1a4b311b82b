package manifest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// MaxSize is the maximum size of a file in bytes.
const MaxSize = 16 << 20

// Read reads the files that the patterns of [filepath.Glob] match. A pattern is absolute, or relative to dir. A file
// that several patterns match is read once.
//
// The error is a [*PatternError] if a pattern matches no file, an [*InvalidError] for invalid content, and otherwise
// that of the file system, also for an unreadable directory in a pattern.
func Read(dir string, patterns ...string) (*Set, error) {
	set := new(Set)
	seen := make(map[string]bool)
	for _, pattern := range patterns {
		paths, err := glob(dir, pattern)
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			if seen[path] {
				continue
			}
			seen[path] = true
			text, err := readText(path, shown(dir, pattern, path))
			if err != nil {
				return nil, err
			}
			if err := set.add(shown(dir, pattern, path), text); err != nil {
				return nil, err
			}
		}
	}
	set.dropOwned()
	return set, nil
}

// glob returns the files that a pattern matches, sorted. It skips directories, so that "deploy/*" works.
func glob(dir, pattern string) ([]string, error) {
	full := filepath.Clean(pattern)
	if !filepath.IsAbs(full) {
		full = filepath.Join(Literal(dir), pattern)
	}
	paths, err := filepath.Glob(full)
	if err != nil || pattern == "" {
		return nil, &PatternError{Pattern: pattern, Dir: dir, Problem: "is malformed"}
	}
	if err := checkReadable(full); err != nil {
		return nil, fmt.Errorf("read manifests: match pattern %q: %w", pattern, err)
	}
	matched := len(paths) > 0
	paths = slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	})
	switch {
	case len(paths) > 0:
		slices.Sort(paths)
		return paths, nil
	case matched:
		return nil, &PatternError{Pattern: pattern, Dir: dir, Problem: "matches only directories"}
	}
	return nil, &PatternError{Pattern: pattern, Dir: dir, Problem: "matches no file"}
}

// checkReadable returns an error for an unreadable directory in which files may match a pattern: [filepath.Glob] skips
// it, and all manifests in it.
func checkReadable(pattern string) error {
	dir, name := filepath.Split(pattern)
	dir = filepath.Clean(dir)
	if name == "" || dir == pattern {
		return nil // the root
	}
	if err := checkReadable(dir); err != nil {
		return err
	}
	dirs, err := filepath.Glob(dir)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
		case err == nil && strings.ContainsAny(name, `*?[\`):
			_, err = os.ReadDir(dir)
		case err == nil:
			_, err = os.Lstat(filepath.Join(dir, name))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Literal returns the pattern of [filepath.Glob] that matches only this path.
func Literal(path string) string {
	special := []string{"*", "[*]", "?", "[?]", "[", "[[]"}
	if runtime.GOOS != "windows" { // there it is the separator
		special = append(special, `\`, `\\`)
	}
	return strings.NewReplacer(special...).Replace(path)
}

// shown returns a file's name for messages. It depends on the machine only if the pattern does.
func shown(dir, pattern, path string) string {
	if !filepath.IsAbs(pattern) {
		if relative, err := filepath.Rel(dir, path); err == nil {
			path = relative
		}
	}
	return filepath.ToSlash(path)
}

func readText(path, file string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a named pipe would block forever
		return nil, &InvalidError{File: file, Problem: "not a regular file",
			Advice: "give patterns that match manifests only"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	if len(text) > MaxSize {
		return nil, &InvalidError{File: file, Problem: "larger than 16 MiB",
			Advice: "give patterns that match manifests only"}
	}
	return text, nil
}

// add reads the text of one file.
func (s *Set) add(file string, text []byte) error {
	documents, fault := kubeyaml.Documents(kubeyaml.UnixLines(text))
	if fault != nil {
		return faulty(origin{file: file, document: documentAt(documents, fault.Line)}, "", fault)
	}
	count := 0
	for _, d := range documents {
		if d.IsEmpty() {
			continue
		}
		for _, object := range d.Objects() {
			count++
			if err := s.addDocument(origin{file: file, document: count}, object); err != nil {
				return err
			}
		}
	}
	return nil
}

// documentAt returns the number of a line's document. A separator is part of the next document.
func documentAt(documents []kubeyaml.Document, line int) int {
	count := 1
	for i, d := range documents {
		next := len(documents) == i+1 || line < documents[i+1].Line-1
		if next {
			break
		}
		if !d.IsEmpty() {
			count++
		}
	}
	return count
}

// faulty converts a fault of the text into an error. The field of the fault is relative to below.
func faulty(at origin, below string, f *kubeyaml.Fault) *InvalidError {
	e := &InvalidError{File: at.file, Document: at.document, Line: f.Line, Field: join(below, f.Field),
		Problem: f.Problem, Advice: f.Advice}
	if e.Line == 0 {
		e.Line = at.line
	}
	if e.Advice == "" {
		e.Advice = "correct it"
	}
	return e
}

// join joins the two parts of a field's path.
func join(above, field string) string {
	if above == "" || field == "" {
		return above + field
	}
	return above + "." + field
}
