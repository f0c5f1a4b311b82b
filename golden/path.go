package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/module"
	"golang.org/x/text/unicode/norm"
)

const (
	extension   = ".yaml"
	maxElement  = 100 // bytes of one path element: file systems allow 255, encrypted home directories 143
	maxTestName = 200 // bytes of a test name that becomes directories: git on Windows stops at 260 for a whole path
)

// Path returns the default golden file of a test: dir/testdata/netzero/<test name>.yaml, with a directory for each
// level of subtests.
//
// Path cleans a part of the name that module.CheckFilePath, Windows, macOS or git would reject, and appends "-" and 8
// hex digits of a hash of the whole name. It does the same to a part that differs from an existing entry only in case.
// Two tests never get the same file, even on file systems that ignore case, and a test keeps its existing file: Path
// reads the directory, and remembers the names that it returned in this process. It creates nothing.
func Path(dir, test string) (string, error) { return assignedNames.path(dir, test) }

// assignedNames keeps tests that run at the same time, none with a file yet, from names that differ only in case.
var assignedNames registry

// registry has the path elements assigned to tests, by directory. The zero value is ready.
type registry struct {
	mu       sync.Mutex
	assigned map[string][]string
}

func (r *registry) path(dir, test string) (string, error) {
	if test == "" {
		return "", errors.New("name golden file: the test has no name")
	}
	r.mu.Lock()
	defer r.mu.Unlock()

	sum := sha256.Sum256([]byte(test))
	hash := "-" + hex.EncodeToString(sum[:4])
	elements := strings.Split(test, "/")
	if len(test) > maxTestName {
		elements = []string{test}
	}
	path := filepath.Join(dir, "testdata", "netzero")
	for i, element := range elements {
		suffix := ""
		if i == len(elements)-1 {
			suffix = extension
		}
		hashed := sanitize(element, maxElement-len(hash)-len(suffix)) + hash + suffix
		chosen := hashed
		if usable(element, suffix) {
			var err error
			if chosen, err = r.choose(path, element+suffix, hashed); err != nil {
				return "", fmt.Errorf("name golden file of %q: %w", test, err)
			}
		}
		path = filepath.Join(path, chosen)
	}
	return path, nil
}

// choose returns an element unchanged or in its hashed form, depending on the entries of the directory, and remembers
// it.
func (r *registry) choose(dir, wanted, hashed string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	key, err := filepath.Abs(dir)
	if err != nil {
		key = dir
	}
	taken := slices.Clone(r.assigned[key])
	for _, e := range entries {
		taken = append(taken, e.Name())
	}
	sameButCase := func(name string) bool { return strings.EqualFold(norm.NFC.String(name), wanted) }
	switch {
	case slices.Contains(taken, wanted):
		return wanted, nil
	case slices.Contains(taken, hashed):
		return hashed, nil
	case slices.ContainsFunc(taken, sameButCase):
		return hashed, nil
	}
	if r.assigned == nil {
		r.assigned = make(map[string][]string)
	}
	r.assigned[key] = append(r.assigned[key], wanted)
	return wanted, nil
}

var (
	hashSuffix   = regexp.MustCompile(`-[0-9a-fA-F]{8}$`)
	shortName    = regexp.MustCompile(`~[0-9]`) // Windows' 8.3 names; git refuses git~1 as another name of .git
	reservedName = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9]|lpt[0-9]) *(\.|$)`)
)

// usable reports whether a part of a test's name can be a path element as it is. The suffix is empty for a directory.
func usable(element, suffix string) bool {
	name := element + suffix
	switch {
	case element == "" || len(name) > maxElement:
		return false
	case module.CheckFilePath(element) != nil || module.CheckFilePath(name) != nil:
		return false
	case strings.TrimSpace(element) != element || element[0] == '.': // a hidden file, or .git
		return false
	case reservedName.MatchString(name) || shortName.MatchString(element):
		return false
	case !norm.NFC.IsNormalString(element): // macOS takes it for the same name as its normal form
		return false
	case hashSuffix.MatchString(element): // it could be the hashed form of another test
		return false
	case suffix == "" && strings.EqualFold(filepath.Ext(element), extension): // it could be the file of another test
		return false
	}
	return true
}

// sanitize returns the element with "_" for everything but letters, digits and a few signs, in at most room bytes.
func sanitize(element string, room int) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(element) {
		switch {
		case r == utf8.RuneError:
			r = '_'
		case unicode.IsLetter(r), '0' <= r && r <= '9', strings.ContainsRune("-_+=,", r):
		default:
			r = '_'
		}
		if b.Len()+utf8.RuneLen(r) > room {
			break
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}
