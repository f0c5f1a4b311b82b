package editor

import (
	"errors"
	"fmt"
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// golandFile is the file of the run configuration, in the project's directory.
var golandFile = filepath.Join(".idea", "runConfigurations", "NetZero.xml")

// GoLand splits arguments at spaces, and knows double quotes.
func golandArguments(exec Exec) string {
	return `-exec="` + strings.ReplaceAll(string(exec), `"`, `\"`) + `"`
}

func golandSettings(exec Exec) string {
	return fmt.Sprintf(`GoLand: Run | Edit Configurations | + | Go Test, with

    Test kind:          Directory
    Directory:          the one of the module
    Go tool arguments:  %s

GoLand runs "go test" for the test kind Directory only. For a function, a file or a package, it builds
the test binary by "go test -c" and runs that itself: such a test is not recorded, whatever the
arguments and GOFLAGS are.
`, golandArguments(exec))
}

// writeGoLand writes a run configuration of its own into the project.
func writeGoLand(dir string, exec Exec) (Written, error) {
	idea := filepath.Join(dir, ".idea")
	if info, err := os.Stat(idea); err != nil || !info.IsDir() {
		return Written{}, fmt.Errorf("%s is not the directory of a GoLand project: it has no .idea", dir)
	}
	path := filepath.Join(dir, golandFile)
	text := fmt.Sprintf(`<component name="ProjectRunConfigurationManager">
  <configuration default="false" name="NetZero" type="GoTestRunConfiguration" factoryName="Go Test">
    <module name="%s" />
    <working_directory value="$PROJECT_DIR$" />
    <go_parameters value="%s" />
    <kind value="DIRECTORY" />
    <directory value="$PROJECT_DIR$" />
    <filePath value="$PROJECT_DIR$" />
    <framework value="gotest" />
    <method v="2" />
  </configuration>
</component>
`, html.EscapeString(golandModule(dir)), html.EscapeString(golandArguments(exec)))
	switch old, err := os.ReadFile(path); {
	case err == nil && string(old) == text:
		return Written{Path: path}, nil
	case err == nil:
		return Written{}, fmt.Errorf("%s exists, with other content", path)
	case !errors.Is(err, fs.ErrNotExist):
		return Written{}, err
	}
	return Written{Path: path, Changed: true}, replaceFile(path, text)
}

// golandModule returns the name that GoLand gave the module of a project: that of its .iml file, or else of the
// project's directory.
func golandModule(dir string) string {
	if found, err := fs.Glob(os.DirFS(filepath.Join(dir, ".idea")), "*.iml"); err == nil && len(found) == 1 {
		return strings.TrimSuffix(found[0], ".iml")
	}
	if full, err := filepath.Abs(dir); err == nil {
		dir = full
	}
	return filepath.Base(dir)
}
