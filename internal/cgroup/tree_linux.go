package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is a mounted cgroup v2 hierarchy: the unified one, or the "unified" mount of a hybrid host.
type Tree struct {
	Root string // the directory on which it is mounted
	from string // the cgroup at Root: "/", unless only a part of the hierarchy is mounted
}

// FindTree finds the cgroup v2 hierarchy in proc_pid_mountinfo(5). Errors: [ErrNoTree], or [ErrReadOnly] if every mount
// of it is read-only.
func FindTree() (Tree, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Tree{}, fmt.Errorf("find cgroup v2: %w", err)
	}
	return findTree(mounts)
}

func findTree(mountinfo []byte) (Tree, error) {
	err := ErrNoTree
	for t, readOnly := range hierarchies(mountinfo, "cgroup2") {
		if !readOnly {
			return t, nil
		}
		err = fmt.Errorf("%w (%s)", ErrReadOnly, t.Root)
	}
	return Tree{}, err
}

// hierarchies returns the mounted hierarchies of a file system, and whether each is read-only.
func hierarchies(mountinfo []byte, fsType string) iter.Seq2[Tree, bool] {
	return func(yield func(Tree, bool) bool) {
		for line := range bytes.Lines(mountinfo) {
			// 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
			mount, fs, ok := strings.Cut(string(line), " - ")
			fields, source := strings.Fields(mount), strings.Fields(fs)
			if !ok || len(fields) < 6 || len(source) < 3 || source[0] != fsType {
				continue
			}
			t := Tree{Root: unescape(fields[4]), from: unescape(fields[3])}
			if !yield(t, hasOption(fields[5], "ro") || hasOption(source[2], "ro")) {
				return
			}
		}
	}
}

func hasOption(options, want string) bool {
	for option := range strings.SplitSeq(options, ",") {
		if option == want {
			return true
		}
	}
	return false
}

// unescape decodes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// Current returns the directory of this process's cgroup.
func (t Tree) Current() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("find own cgroup: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::")
		if !ok {
			continue
		}
		below, upward, ok := t.below(path)
		if !ok {
			return "", fmt.Errorf("find own cgroup: %s is outside the hierarchy mounted at %s (%s)", path, t.Root, t.from)
		}
		if upward {
			return t.search()
		}
		return filepath.Join(t.Root, below), nil
	}
	return "", fmt.Errorf("find own cgroup: /proc/self/cgroup has no cgroup v2 entry: %w", ErrNoTree)
}

// below returns the path of a cgroup relative to the mount. Both paths are relative to the root of this process's
// cgroup namespace. Cgroups above that root are "/..", as in a container with its own cgroup namespace that mounts the
// whole tree (docker run -v /sys/fs/cgroup:/sys/fs/cgroup). Then upward is true: no path has the names of the cgroups
// in between.
func (t Tree) below(path string) (below string, upward, ok bool) {
	mounted, cgroup := elements(t.from), elements(path)
	for i, name := range mounted {
		switch {
		case i < len(cgroup) && cgroup[i] == name:
		case name == "..":
			return "", true, true
		default:
			return "", false, false
		}
	}
	cgroup = cgroup[len(mounted):]
	return filepath.Join(cgroup...), false, len(cgroup) == 0 || cgroup[0] != ".."
}

func elements(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// search looks for this process in the whole tree.
func (t Tree) search() (string, error) {
	var found string
	err := filepath.WalkDir(t.Root, func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil // another user's, or removed meanwhile
		}
		if pids, _ := processes(dir); slices.Contains(pids, os.Getpid()) {
			found = dir
			return filepath.SkipAll
		}
		return nil
	})
	if err == nil && found == "" {
		err = errors.New("no cgroup lists this process")
	}
	if err != nil {
		return "", fmt.Errorf("find own cgroup in %s: %w", t.Root, err)
	}
	return found, nil
}
