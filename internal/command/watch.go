package command

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/netzero-dev/netzero/internal/hubble"
	"github.com/netzero-dev/netzero/internal/page"
	"github.com/netzero-dev/netzero/internal/recording"
	"github.com/netzero-dev/netzero/internal/serve"
)

// watcher compares recordings with their golden files, and again where one of the two has changed. A recording that
// cannot be read or compared does not hide the others.
type watcher struct {
	paths []string // files and directories
	log   func(line string)
	run   string // unique to this process

	mu       sync.Mutex
	packages packageIndex
	sources  []source // by path
	missing  []string // why paths could not be listed
	current  *serve.Results
	count    int // of the results so far
}

// source is a recording as it was read, and what its comparison gave.
type source struct {
	state
	file    recording.File
	readErr error

	golden     state // when the recording was compared with it
	result     page.Result
	compareErr error
}

// state is a file that is there or not, and what changes with its content.
type state struct {
	path string
	info fs.FileInfo // nil if err is not
	err  error
}

func stateOf(path string) state {
	info, err := os.Stat(path)
	return state{path, info, err}
}

// same reports whether a file is unchanged. NetZero replaces files as a whole, so that the new one is another file,
// even if it has the size and the time of the old one.
func (s state) same(now state) bool {
	if s.err != nil || now.err != nil {
		return s.path == now.path && s.err != nil && now.err != nil && s.err.Error() == now.err.Error()
	}
	return s.path == now.path && os.SameFile(s.info, now.info) && s.info.Size() == now.info.Size() &&
		s.info.ModTime().Equal(now.info.ModTime())
}

// newWatcher returns a watcher of recordings. It runs "go list" in dir. Log gets a line for each recording that cannot
// be read or compared, once.
func newWatcher(paths []string, dir string, log func(line string)) *watcher {
	return &watcher{paths: paths, log: log, run: rand.Text(), packages: packageIndex{dir: dir}}
}

// results returns the results of the recordings and golden files as they are now. It returns the same pointer as before
// unless one of them has changed.
func (w *watcher) results() *serve.Results {
	w.mu.Lock()
	defer w.mu.Unlock()
	files, missing := w.list()
	if w.current != nil && slices.Equal(missing, w.missing) && slices.EqualFunc(w.sources, files, source.isCurrent) {
		return w.current
	}
	w.sources, w.missing = w.read(files), missing
	w.count++
	before := w.current
	w.current = &serve.Results{Version: fmt.Sprintf("%s-%d", w.run, w.count), Run: w.collect()}
	for _, line := range w.current.Run.Unread {
		if before == nil || !slices.Contains(before.Run.Unread, line) {
			w.log(line)
		}
	}
	return w.current
}

// list returns the recordings that there are, by path. A directory that is gone or cannot be read is in missing.
func (w *watcher) list() (files []state, missing []string) {
	var paths []string
	for _, path := range w.paths {
		info, err := os.Stat(path)
		found := []string{filepath.Clean(path)}
		if err == nil && info.IsDir() {
			found, err = filesIn(path, ".json")
		}
		if err != nil {
			missing = append(missing, err.Error())
			continue
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		switch s := stateOf(path); {
		case errors.Is(s.err, fs.ErrNotExist): // it has gone since the directory was read
		case s.err == nil && !s.info.Mode().IsRegular(): // a pipe would block
		default:
			files = append(files, s)
		}
	}
	return files, missing
}

// isCurrent reports whether neither the recording nor its golden file has changed.
func (s source) isCurrent(now state) bool {
	return s.same(now) && (s.golden.path == "" || s.golden.same(stateOf(s.golden.path)))
}

// read reads and compares recordings. It does so only for those that have changed.
func (w *watcher) read(files []state) []source {
	known := make(map[string]source)
	for _, s := range w.sources {
		known[s.path] = s
	}
	var sources []source
	var packages []string
	for _, f := range files {
		s, again := known[f.path]
		if !again || !s.same(f) {
			s = source{state: f}
			s.file, s.readErr = readRecording(f.path, hubble.Options{})
		}
		if s.readErr == nil && checkPackage(s.file.Package) == nil {
			packages = append(packages, s.file.Package)
		}
		sources = append(sources, s)
	}
	listErr := w.packages.list(packages)
	for i := range sources {
		if s := &sources[i]; s.readErr == nil {
			w.compare(s, listErr)
		}
	}
	return sources
}

// compare compares a recording with its golden file, unless both are as they were.
func (w *watcher) compare(s *source, listErr error) {
	err := checkPackage(s.file.Package)
	if err != nil {
		s.compareErr = err
		return
	}
	p, err := w.packages.find(s.file.Package)
	if err != nil {
		s.compareErr = cmp.Or(listErr, err)
		return
	}
	golden := stateOf(filepath.Join(p.Dir, filepath.FromSlash(s.file.Golden)))
	if s.golden.path != "" && s.golden.same(golden) {
		return
	}
	s.golden = golden
	s.result.File = s.file
	s.result.Result, s.compareErr = evaluate(s.file, p)
}

// collect returns the results of what was read and compared, sorted by package and test.
func (w *watcher) collect() page.Run {
	run := page.Run{Unread: slices.Clone(w.missing)}
	for _, s := range w.sources {
		switch {
		case s.readErr != nil:
			run.Unread = append(run.Unread, s.readErr.Error())
		case s.compareErr != nil:
			run.Unread = append(run.Unread, s.path+": "+s.compareErr.Error())
		default:
			run.Results = append(run.Results, s.result)
		}
	}
	slices.SortStableFunc(run.Results, func(a, b page.Result) int { return compareTests(a.File, b.File) })
	relate(run.Results, w.packages.found)
	return run
}
