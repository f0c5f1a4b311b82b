package golden

import (
	"bytes"
	"fmt"
	"io"
	"os"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/netzero-dev/netzero/internal/cilium"
	"github.com/netzero-dev/netzero/internal/kubeyaml"
)

// Read reads a golden file. A file that is empty or holds only comments has no policies.
//
// The error is an [*InvalidError] where the content is at fault, and matches [fs.ErrNotExist] where there is no file.
// LF and CRLF, and a byte order mark, are read; several documents may stand in one file, and lists of policies as
// kubectl get writes them, but only one policy of a namespace and name.
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
		return nil, &InvalidError{Path: path, Problem: "larger than 1 MiB",
			Advice: "make sure that it is a policy; keep what other tests need in their own files"}
	}
	return text, nil
}

// parse reads the text of a golden file.
func parse(path string, text []byte) (*File, error) {
	documents, fault := kubeyaml.Documents(kubeyaml.UnixLines(text))
	if fault != nil {
		err := faulty(fault)
		err.Path = path
		return nil, err
	}
	f := &File{Path: path, text: bytes.Clone(text)}
	for _, d := range documents {
		f.documents = append(f.documents, document{Document: d})
	}
	seen := make(map[name]string)
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
func (f *File) add(d document, i, count int, seen map[name]string) *InvalidError {
	policy := d.policies[i]
	if first, ok := seen[nameOf(policy)]; ok {
		return d.at(i,
			&InvalidError{Field: "metadata.name", Problem: fmt.Sprintf("%s is called %s too", first, nameOf(policy)),
				Advice: "rename or remove one of them, or merge their rules"})
	}
	if len(seen) > 0 && (len(f.Cilium) > 0) != (dialectOf(policy) == ciliums) {
		return d.at(i, &InvalidError{Field: "kind", Problem: "a " + dialectOf(policy).kind + " after one of another kind",
			Advice: "keep those of one kind, which the test's options say, in one file"})
	}
	seen[nameOf(policy)] = fmt.Sprintf("document %d", count)
	if d.list != nil {
		seen[nameOf(policy)] += ", " + itemPath(i)
	}
	switch p := policy.(type) {
	case *cilium.NetworkPolicy:
		f.Cilium = append(f.Cilium, p)
	case *networkingv1.NetworkPolicy:
		f.Policies = append(f.Policies, p)
	}
	return nil
}
