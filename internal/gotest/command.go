package gotest

import (
	"regexp"
	"runtime/debug"
	"strings"
)

// Command is a go test command line that runs tests of a package.
type Command struct {
	Package   string   // the import path; empty for the package under test, with its build tags
	Exec      string   // the flag -exec with its value; empty for none
	Test      string   // the name of a test or benchmark; empty for all tests of the package
	Benchmark bool     // Test is a benchmark
	Flags     []string // more flags, quoted for a shell
	Update    bool     // the flag -update
}

// String returns the command line for a shell.
func (c Command) String() string {
	words := []string{"go test"}
	if c.Exec != "" {
		words = append(words, c.Exec)
	}
	if c.Package != "" {
		words = append(words, c.Package)
	} else {
		words = append(words, buildTags()...)
		words = append(words, PackagePath())
	}
	switch {
	case c.Test == "":
	case c.Benchmark:
		words = append(words, "-run '^$' -bench "+pattern(c.Test))
	default:
		words = append(words, "-run "+pattern(c.Test))
	}
	words = append(words, c.Flags...)
	if c.Update {
		words = append(words, "-update")
	}
	return strings.Join(words, " ")
}

// SelectingFlags returns the flags of this run that select benchmarks and fuzz tests, which only run if the command
// names them.
func SelectingFlags() []string {
	var flags []string
	for _, names := range [][]string{{"bench"}, {"fuzz", "fuzztime"}} {
		for _, name := range names {
			if Flag("test."+names[0]) != "" {
				flags = append(flags, "-"+name+" "+quote(Flag("test."+name)))
			}
		}
	}
	return flags
}

// buildTags returns the flag of go test that builds this test binary again, if it has build tags.
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

// PackagePath returns the import path of the package under test, or "." if it has none.
func PackagePath() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		if path, ok := strings.CutSuffix(info.Path, ".test"); ok && path != "command-line-arguments" {
			return path
		}
	}
	return "."
}

// pattern returns the quoted regular expression by which -run selects one test, element by element.
func pattern(test string) string {
	elements := strings.Split(test, "/")
	for i, e := range elements {
		elements[i] = "^" + regexp.QuoteMeta(e) + "$"
	}
	return quote(strings.Join(elements, "/"))
}

// quote returns a text as one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
