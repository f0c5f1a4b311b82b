package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
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
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	found := map[string]listedPackage{"": {Dir: full}}
	var paths []string
	for _, s := range sources {
		path := s.File.Package
		if _, again := found[path]; again {
			continue
		}
		if err := module.CheckImportPath(path); err != nil {
			return nil, fmt.Errorf("%s: package: %w", s.Path, err)
		}
		found[path] = listedPackage{}
		paths = append(paths, path)
	}
	if len(paths) == 0 {
		return found, nil
	}
	var stderr bytes.Buffer
	cmd := exec.Command("go", append([]string{"list", "-e", "-find", "-json=ImportPath,Dir,Module", "--"}, paths...)...)
	cmd.Dir, cmd.Stderr = dir, &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %q", err, strings.TrimSpace(stderr.String()))
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the output of go list: %w", err)
		}
		found[p.ImportPath] = p
	}
	for _, path := range paths {
		if found[path].Dir == "" {
			return nil, fmt.Errorf("package %s is not found from %s: run this command in the module of the tests", path, full)
		}
	}
	return found, nil
}
