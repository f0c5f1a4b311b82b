package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"

	"github.com/netzero-dev/netzero/internal/merge"
)

// listedPackage is what go list knows about a package.
type listedPackage struct {
	ImportPath string
	Dir        string
	Module     struct{ Path string }
}

// listPackages returns the packages of recordings, by import path. It runs "go list" in dir. A recording without an
// import path is of the package in dir.
func listPackages(dir string, sources []merge.Source) (map[string]listedPackage, error) {
	packages := packageIndex{dir: dir}
	var paths []string
	for _, s := range sources {
		if err := checkPackage(s.File.Package); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Path, err)
		}
		paths = append(paths, s.File.Package)
	}
	if err := packages.list(paths); err != nil {
		return nil, err
	}
	for _, path := range paths {
		if _, err := packages.find(path); err != nil {
			return nil, err
		}
	}
	return packages.found, nil
}

// checkPackage returns an error if an import path is malformed. An empty one is the package in which netzero runs.
func checkPackage(path string) error {
	if path == "" {
		return nil
	}
	if err := module.CheckImportPath(path); err != nil {
		return fmt.Errorf("package: %w", err)
	}
	return nil
}

// packageIndex is the packages that "go list" has found in a directory, by import path.
type packageIndex struct {
	dir   string
	found map[string]listedPackage
}

// find returns a package that list has looked for, or an error that says where it was looked for.
func (x *packageIndex) find(path string) (listedPackage, error) {
	if p := x.found[path]; p.Dir != "" {
		return p, nil
	}
	full, err := filepath.Abs(x.dir)
	if err != nil {
		return listedPackage{}, err
	}
	return listedPackage{}, fmt.Errorf("package %s is not found from %s: run this command in the module of the tests",
		path, full)
}

// list looks for packages that are not found yet. The import paths have to be well-formed.
func (x *packageIndex) list(paths []string) error {
	full, err := filepath.Abs(x.dir)
	if err != nil {
		return err
	}
	if x.found == nil {
		x.found = map[string]listedPackage{"": {Dir: full}}
	}
	var wanted []string
	for _, path := range paths {
		if x.found[path].Dir == "" && !slices.Contains(wanted, path) {
			wanted = append(wanted, path)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"list", "-e", "-find", "-json=ImportPath,Dir,Module", "--"}, wanted...)...)
	cmd.Dir, cmd.Stderr = x.dir, &stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list: %w: %q", err, strings.TrimSpace(stderr.String()))
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read the output of go list: %w", err)
		}
		x.found[p.ImportPath] = p
	}
}
