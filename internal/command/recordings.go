package command

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/manifest"
	"github.com/netzero-dev/netzero/internal/merge"
	"github.com/netzero-dev/netzero/internal/recording"
)

// stdin stands for standard input in the place of a path.
const stdin = "-"

// declareDropped declares the flag -dropped. Its default is the value of o.
func declareDropped(flags *flag.FlagSet, o *hubble.Options) {
	standard := "omit"
	if o.Dropped == hubble.IncludeDropped {
		standard = "include"
	}
	flags.Func("dropped", "`omit or include` flows that the cluster dropped, in exports of Hubble; default "+standard,
		func(word string) (err error) {
			o.Dropped, err = hubble.ParseDropped(word)
			return err
		})
}

// readRecordings reads recordings and exports of Hubble. A path is a file, "-" for one on standard input, or a
// directory with files *.json.
func readRecordings(paths []string, o hubble.Options) ([]merge.Source, error) {
	files, err := filesOf(paths, ".json")
	if err != nil {
		return nil, fmt.Errorf("read recordings: %w", err)
	}
	var sources []merge.Source
	for _, file := range files {
		recorded, err := readRecording(file, o)
		if err != nil {
			return nil, err
		}
		sources = append(sources, merge.Source{Path: file, File: recorded})
	}
	return sources, nil
}

// readManifests reads manifests. A path is a file, a pattern, or a directory with manifests. It returns nil for no
// paths.
func readManifests(paths []string) (*manifest.Set, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	var patterns []string
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			patterns = append(patterns, path)
			continue
		}
		files, err := filesOf([]string{path}, ".yaml", ".yml", ".json")
		if err != nil {
			return nil, fmt.Errorf("read manifests: %w", err)
		}
		for _, file := range files {
			patterns = append(patterns, manifest.Literal(file))
		}
	}
	return manifest.Read(".", patterns...)
}

// filesOf returns the paths, with the files of these extensions in place of each directory. It is an error if a
// directory has none. A file that is named twice is returned once.
func filesOf(paths []string, extensions ...string) ([]string, error) {
	var files []string
	add := func(file string) {
		if file = filepath.Clean(file); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	for _, path := range paths {
		if path == stdin {
			add(path)
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		found, err := filesIn(path, extensions...)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no file *%s in %s", extensions[0], path)
		}
		for _, file := range found {
			add(file)
		}
	}
	return files, nil
}

// filesIn returns the paths of the files of these extensions in a directory, sorted.
func filesIn(dir string, extensions ...string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(extensions, filepath.Ext(e.Name())) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// readRecording reads a recording, or an export of Hubble. The file may be a pipe.
func readRecording(path string, o hubble.Options) (recording.File, error) {
	file, name := os.Stdin, "standard input"
	if path != stdin {
		name = path
		var err error
		if file, err = os.Open(path); err != nil {
			return recording.File{}, fmt.Errorf("read recording: %w", err)
		}
		defer file.Close()
	}
	const enough = 4 << 10 // bytes to see what the file is
	in := bufio.NewReaderSize(file, enough)
	head, err := in.Peek(enough)
	if err != nil && !errors.Is(err, io.EOF) {
		return recording.File{}, fmt.Errorf("read recording: %w", err)
	}
	var f recording.File
	switch {
	case len(head) == 0:
		err = errors.New("it is empty")
	case hubble.IsExport(head):
		f, err = hubble.Read(in, o)
	default:
		f, err = recording.Decode(in)
	}
	if err != nil {
		return recording.File{}, fmt.Errorf("read recording %s: %w", name, err)
	}
	return f, nil
}
