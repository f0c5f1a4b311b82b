package check

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Register holds the golden files of this process with their tests. It rejects two tests that use one file without
// sharing it: an update by the later test would remove rules that the earlier one needs. The zero value is ready to
// use, by several goroutines.
type Register struct {
	mu      sync.Mutex
	files   map[string]*GoldenFile // by path; the file of an owner only while the owner runs
	running map[member]bool
	updated map[string]string // the owner that has updated a file, by path
}

// Member is a test that records for a golden file.
type Member struct {
	Test    string
	Package Package
	Shares  bool // other tests may record for the file too
	Updates bool // the test writes the file
	// AtEnd says that [Register.Check] runs after all tests. Until then, no rule of a shared file counts as unused.
	AtEnd bool
}

// member is a test that runs, with its golden file.
type member struct{ path, test string }

// Begin registers a test for a golden file, until release is called.
func (r *Register) Begin(path string, m Member) (file *GoldenFile, release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.reject(path, m); err != nil {
		return nil, nil, err
	}
	if r.files == nil {
		r.files, r.running = make(map[string]*GoldenFile), make(map[member]bool)
		r.updated = make(map[string]string)
	}
	file = r.files[path]
	if file == nil {
		file = newGoldenFile(path, m)
		r.files[path] = file
	}
	file.begin(m)
	key := member{path, m.Test}
	r.running[key] = true
	if !m.Shares && m.Updates {
		r.updated[path] = m.Test
	}
	return file, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.running, key)
		if !file.isShared() {
			delete(r.files, path)
		}
	}, nil
}

// reject returns an error if a test may not record for a golden file.
func (r *Register) reject(path string, m Member) error {
	relative := m.Package.Dir.Relative(path)
	belongsTo := func(owner string) error {
		return fmt.Errorf("golden file %s belongs to %s: give one of the two tests another with netzerotest.Golden",
			relative, owner)
	}
	file, updatedBy := r.files[path], r.updated[path]
	var owner string // the test that runs, if the file is its own
	if file != nil {
		owner = file.owner
	}
	switch {
	case !m.Shares && file != nil && file.isShared():
		return fmt.Errorf("golden file %s is shared by other tests: give this one the option Shared too, "+
			"or a file of its own", relative)
	case m.Shares && (updatedBy != "" || owner != ""):
		return fmt.Errorf("golden file %s is shared, but not by %s: give all of its tests the option Shared",
			relative, cmp.Or(updatedBy, owner))
	case r.running[member{path, m.Test}]:
		return fmt.Errorf("called twice in this test: one recording has all flows")
	case owner != "":
		return belongsTo(owner)
	case m.Updates && updatedBy != "" && updatedBy != m.Test:
		return belongsTo(updatedBy)
	}
	return nil
}

// IsShared reports whether tests of this process share the golden file.
func (r *Register) IsShared(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	file := r.files[path]
	return file != nil && file.isShared()
}

// shared returns the files that tests share, sorted by path.
func (r *Register) shared() []*GoldenFile {
	r.mu.Lock()
	defer r.mu.Unlock()
	var files []*GoldenFile
	for _, file := range r.files {
		if file.isShared() {
			files = append(files, file)
		}
	}
	slices.SortFunc(files, func(a, b *GoldenFile) int { return cmp.Compare(a.path, b.path) })
	return files
}
