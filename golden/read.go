package golden

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// Read reads a golden file. A file that is empty or holds only comments has no policies.
//
// The error is an [*InvalidError] where the content is at fault, and matches [fs.ErrNotExist] where there is no file.
// LF and CRLF, and a byte order mark, are read; several documents may stand in one file, but only one of a namespace
// and name.
func Read(path string) (*File, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text)
}

func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read golden: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for ever
		return nil, &InvalidError{Path: path, Problem: "not a regular file", Advice: "remove it, and record it with -update"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read golden: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read golden: %w", err)
	}
	if len(text) > MaxSize {
		return nil, &InvalidError{Path: path, Problem: "larger than 1 MiB", Advice: "make sure that it is a policy; keep what other tests need in their own files"}
	}
	return text, nil
}

// parse reads the text of a golden file.
func parse(path string, text []byte) (*File, error) {
	normal := unixLines(text)
	if err := checkText(normal); err != nil {
		err.Path = path
		return nil, err
	}
	f := &File{Path: path, text: bytes.Clone(text), documents: split(normal)}
	if err := checkSeparators(f.documents); err != nil {
		err.Path = path
		return nil, err
	}
	seen := make(map[name]int)
	count := 0
	for i := range f.documents {
		d := &f.documents[i]
		if _, content := leadingComments(d.body); content == "" {
			continue
		}
		count++
		policy, err := decode(*d)
		if err == nil {
			if first, ok := seen[nameOf(policy)]; ok {
				err = &InvalidError{Field: "metadata.name",
					Problem: fmt.Sprintf("document %d is called %s too", first, nameOf(policy)),
					Advice:  "rename or remove one of them, or merge their rules"}
			}
		}
		if err != nil {
			err.Path, err.Document = path, count
			if err.Line == 0 {
				err.Line = locate(*d, err.Field)
			}
			return nil, err
		}
		seen[nameOf(policy)] = count
		d.policy = policy
		f.Policies = append(f.Policies, policy)
	}
	f.Header = readHeader(f.documents)
	return f, nil
}

// unixLines returns the text without a byte order mark, and with LF line ends.
func unixLines(text []byte) string {
	s := strings.TrimPrefix(string(text), "\ufeff")
	return strings.ReplaceAll(s, "\r\n", "\n")
}

// checkText finds what is wrong before YAML has a say, because YAML's own words for it would not help.
func checkText(text string) *InvalidError {
	n := 0
	for line := range strings.Lines(text) {
		n++
		if !utf8.ValidString(line) {
			return &InvalidError{Line: n, Problem: "not UTF-8", Advice: "save the file as UTF-8"}
		}
		if isConflictMarker(line) {
			return &InvalidError{Line: n, Problem: fmt.Sprintf("merge conflict marker %q", strings.TrimSpace(line)),
				Advice: "resolve the conflict, or take one side and run the test with -update"}
		}
		for _, r := range strings.TrimSuffix(line, "\n") {
			if r < ' ' && r != '\t' || r == 0x7f || r == '\u2028' || r == '\u2029' || 0x80 <= r && r < 0xa0 {
				// YAML takes some of these for line ends, and an editor does not show them.
				return &InvalidError{Line: n, Problem: fmt.Sprintf("control character %q", r), Advice: "remove it"}
			}
		}
	}
	return nil
}

func isConflictMarker(line string) bool {
	for _, c := range []string{"<", "=", ">", "|"} {
		if rest, ok := strings.CutPrefix(line, strings.Repeat(c, 7)); ok && (rest == "" || rest[0] == ' ' || rest[0] == '\n') {
			return true
		}
	}
	return false
}
