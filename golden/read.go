package golden

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Read reads a golden file. A file that is empty or holds only comments has no policies.
//
// The error is an [*InvalidError] if the content is invalid, and matches [fs.ErrNotExist] if there is no file. A file
// may have LF or CRLF line ends, a byte order mark, several documents, and lists of policies as kubectl get writes
// them. Each namespace and name may occur once.
func Read(path string) (*File, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
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
		return nil, &InvalidError{Path: path, Problem: fmt.Sprintf("larger than %d MiB", MaxSize>>20),
			Advice: "make sure that it is a policy; keep what other tests need in their own files"}
	}
	return text, nil
}

// Parse reads the text of a golden file as [Read] does. The path is for messages and [File.Path]: no file is opened.
func Parse(path string, text []byte) (*File, error) {
	documents, fault := kubeyaml.Documents(kubeyaml.UnixLines(text))
	if fault != nil {
		err := invalidText(fault)
		err.Path = path
		return nil, err
	}
	f := &File{Path: path, text: bytes.Clone(text)}
	for _, d := range documents {
		f.documents = append(f.documents, document{Document: d})
	}
	seen := make(map[objectName]string)
	count := 0
	for i := range f.documents {
		d := &f.documents[i]
		if d.IsEmpty() {
			continue
		}
		count++
		read, err := decode(*d)
		for k := range read.policies {
			if err != nil {
				break
			}
			err = f.add(read, k, count, seen)
		}
		if err != nil {
			err.Path, err.Document = path, count
			if err.Line == 0 && err.Field != "" {
				err.Line = d.Lines().Of(err.Field)
			}
			return nil, err
		}
		*d = read
	}
	f.Header = readHeader(f.documents)
	return f, nil
}

// add appends a policy of a document. seen maps the names so far to their places.
func (f *File) add(d document, i, count int, seen map[objectName]string) *InvalidError {
	policy := d.policies[i]
	if first, ok := seen[nameOf(policy)]; ok {
		return d.inDocument(i,
			&InvalidError{Field: "metadata.name", Problem: fmt.Sprintf("%s has the name %s too", first, nameOf(policy)),
				Advice: "rename or remove one of them, or merge their rules"})
	}
	dialect := implementationOf(policy).dialect()
	if f.Dialect != "" && f.Dialect != dialect {
		return d.inDocument(i, &InvalidError{Field: "kind", Problem: "a " + string(dialect) + " after one of another kind",
			Advice: "keep only policies of the kind that the test's options choose in this file"})
	}
	seen[nameOf(policy)] = fmt.Sprintf("document %d", count)
	if d.list != nil {
		seen[nameOf(policy)] += ", " + itemPath(i)
	}
	f.Dialect, f.Policies = dialect, append(f.Policies, policy)
	return nil
}
