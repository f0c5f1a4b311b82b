package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/netzero-dev/netzero/golden"
	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/merge"
	"github.com/netzero-dev/netzero/internal/policydiff"
)

var diffCommand = subcommand{
	name:    "diff",
	args:    "OLD NEW",
	summary: "Says in words what a change of network policies allows more and less.",
	help: `OLD and NEW are files of NetworkPolicies and CiliumNetworkPolicies, or two directories. In
directories, files *.yaml and *.yml are compared by their relative paths. "-" is standard input;
/dev/null is an empty file. Objects of other kinds are ignored. The command compares what the
policies allow, not their text.

  git show main:testdata/netzero/TestCheckout.yaml | netzero diff - testdata/netzero/TestCheckout.yaml
  git difftool --no-prompt --extcmd='netzero diff' main -- '*.yaml'

Exit status: 0 if the policies mean the same, 1 if they differ, 2 for trouble.`,
	run: runDiff,
}

// writers write differences, by the value of -format.
var writers = map[string]func(io.Writer, []policydiff.File) error{
	"text": policydiff.WriteText, "markdown": policydiff.WriteMarkdown, "json": policydiff.WriteJSON,
}

func runDiff(c *call) int {
	format := c.flags.String("format", "text", "`form` of the output: text, markdown (for a pull request comment) or json")
	var recordings []string
	list(c.flags, &recordings, "recordings", "list the flows of this `recording`, or of all in a directory, that have "+
		"another verdict; repeatable")
	if status, ok := c.parse(); !ok {
		return status
	}
	write := writers[*format]
	switch {
	case write == nil:
		return c.refuse(statusUsage, fmt.Errorf("unknown format %q: want text, markdown or json", *format))
	case c.flags.NArg() != 2:
		return c.refuse(statusUsage, fmt.Errorf("%d arguments: want OLD and NEW", c.flags.NArg()))
	}
	files, err := compareFiles(c.flags.Arg(0), c.flags.Arg(1), recordings)
	if err == nil {
		err = write(c.stdout, files)
	}
	if err != nil {
		return c.refuse(statusUsage, err)
	}
	if slices.ContainsFunc(files, policydiff.File.Differs) {
		return statusFailed
	}
	return statusOK
}

// compareFiles compares two files, or the files of two directories.
func compareFiles(old, new string, recordings []string) ([]policydiff.File, error) {
	recorded, err := readRecorded(recordings)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{old, new} {
		if _, err := os.Stat(path); path != stdin && err != nil {
			return nil, fmt.Errorf("read policies: %w", err)
		}
	}
	oldDir, newDir := old != stdin && isDir(old), new != stdin && isDir(new)
	switch {
	case oldDir != newDir:
		return nil, fmt.Errorf("%s and %s are a file and a directory: name two files or two directories", old, new)
	case old == stdin && new == stdin:
		return nil, errors.New("both files are standard input: name another file for one of them")
	case !oldDir:
		// Of recordings that name one of the files only these count. Otherwise the user chose them.
		own := slices.DeleteFunc(slices.Clone(recorded), func(r policydiff.Recorded) bool {
			return !r.Belongs(absolute(old)) && !r.Belongs(absolute(new))
		})
		if len(own) > 0 {
			recorded = own
		}
		file, err := compareFile(old, new, recorded)
		return []policydiff.File{file}, err
	}
	var names []string
	for _, dir := range []string{old, new} {
		found, err := policyFiles(dir)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no file *.yaml or *.yml below %s and %s: name the directories of the policies", old, new)
	}
	slices.Sort(names)
	var files []policydiff.File
	for _, name := range slices.Compact(names) {
		was, is := filepath.Join(old, name), filepath.Join(new, name)
		own := slices.DeleteFunc(slices.Clone(recorded), func(r policydiff.Recorded) bool {
			return !r.Belongs(absolute(was)) && !r.Belongs(absolute(is))
		})
		file, err := compareFile(orNone(was), orNone(is), own)
		if err != nil {
			return nil, err
		}
		file.Path = filepath.ToSlash(name)
		files = append(files, file)
	}
	return files, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// orNone returns the name of an empty file for one that does not exist.
func orNone(path string) string {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return os.DevNull
	}
	return path
}

// policyFiles returns the YAML files below a directory, relative to it.
func policyFiles(dir string) ([]string, error) {
	var names []string
	// The directory itself may be a symbolic link, as may the files that git difftool makes.
	err := filepath.WalkDir(dir+string(filepath.Separator), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) {
			return err
		}
		name, err := filepath.Rel(dir, path)
		names = append(names, name)
		return err
	})
	return names, err
}

func compareFile(old, new string, recorded []policydiff.Recorded) (policydiff.File, error) {
	before, err := readPolicies(old)
	if err != nil {
		return policydiff.File{}, err
	}
	after, err := readPolicies(new)
	if err != nil {
		return policydiff.File{}, err
	}
	file := policydiff.File{Subjects: policydiff.Compare(before, after)}
	file.AddFlows(before, after, recorded)
	return file, nil
}

// readPolicies reads a file of policies. It may be a pipe or a device, as in netzero diff <(helm template .) all.yaml.
func readPolicies(path string) ([]golden.Policy, error) {
	in, name := os.Stdin, "(standard input)"
	if path != stdin {
		name = path
		var err error
		if in, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("read policies: %w", err)
		}
		defer in.Close()
	}
	text, err := io.ReadAll(io.LimitReader(in, golden.MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read policies: %w", err)
	case len(text) > golden.MaxSize:
		return nil, fmt.Errorf("read policies: %s is larger than %d MiB: compare its parts", name, golden.MaxSize>>20)
	}
	return policydiff.Parse(name, text)
}

// readRecorded reads recordings, or none for no paths.
func readRecorded(paths []string) ([]policydiff.Recorded, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	sources, err := readRecordings(paths, hubble.Options{Dropped: hubble.IncludeDropped})
	if err != nil {
		return nil, err
	}
	var all []policydiff.Recorded
	for _, s := range sources {
		recorded, err := policydiff.RecordedOf(merge.TestName(s.File), s.File)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Path, err)
		}
		all = append(all, recorded)
	}
	return all, nil
}
