package netzerotest

import (
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/session"
)

// acceptCommand is what to type to accept what a test recorded, from anywhere in the module.
func acceptCommand(tb host) string {
	return goTest(tb, "") + " -update"
}

// acceptCommandHere is acceptCommand for the user who runs this process: under sudo it needs sudo again, and what opened a flow of
// the package may be a benchmark or a fuzz test, which only run where somebody asks for them.
func acceptCommandHere(tb host) string {
	exec := ""
	if os.Getenv("SUDO_UID") != "" {
		exec = session.ExecSudo
	}
	words := []string{goTest(tb, exec)}
	if isPackage(tb) {
		for _, flags := range [][]string{{"bench"}, {"fuzz", "fuzztime"}} {
			for _, name := range flags {
				if flagValue("test."+flags[0]) != "" {
					words = append(words, "-"+name+" "+quote(flagValue("test."+name)))
				}
			}
		}
	}
	return strings.Join(append(words, "-update"), " ")
}

// runCommand is what to type to run a test again as it was run: to compare, or to update.
func runCommand(tb host, exec string, update bool) string {
	if update {
		return goTest(tb, exec) + " -update"
	}
	return goTest(tb, exec)
}

// goTest is the go test command line that runs one test, or a whole package, with its build tags.
func goTest(tb host, exec string) string {
	words := []string{"go test"}
	if exec != "" {
		words = append(words, exec)
	}
	words = append(words, buildTags()...)
	words = append(words, packagePath())
	switch tb.(type) {
	case *packageRun:
	case *testing.B:
		words = append(words, "-run '^$' -bench "+pattern(tb.Name()))
	default:
		words = append(words, "-run "+pattern(tb.Name()))
	}
	return strings.Join(words, " ")
}

// goTestAll is the go test command line that runs the whole package and accepts what its tests recorded.
func goTestAll() string {
	return strings.Join(slices.Concat([]string{"go test"}, buildTags(), []string{packagePath(), "-update"}), " ")
}

// buildTags is the option of go test that builds this test binary again, if there is any.
func buildTags() []string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-tags" && s.Value != "" {
				return []string{"-tags=" + s.Value}
			}
		}
	}
	return nil
}

// packagePath is the import path of the package under test, or "." where it has none.
func packagePath() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		if path, ok := strings.CutSuffix(info.Path, ".test"); ok && path != "command-line-arguments" {
			return path
		}
	}
	return "."
}

// pattern is the quoted regular expression that -run matches with one test, element by element.
func pattern(test string) string {
	elements := strings.Split(test, "/")
	for i, e := range elements {
		elements[i] = "^" + regexp.QuoteMeta(e) + "$"
	}
	return quote(strings.Join(elements, "/"))
}

// quote makes a word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
