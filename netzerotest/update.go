package netzerotest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// updateFlag is a common name: a test package may declare it itself, and so may what it imports, with or without a
// look whether it exists (gotest.tools/golden, goldie). Who declares a flag twice panics. So ours has to come after
// everybody's init and variables, yet before the command line is parsed, and a package without TestMain offers no such
// moment. But go test passes -test.paniconexit0 before everything else, and the flag package calls Set when it meets it.
const updateFlag = "update"

// updateVariable does what -update does where the flag cannot be had: with `go test ./...`, where some packages do not
// know it.
const updateVariable = "NETZERO_UPDATE"

func init() {
	if !testing.Testing() { // a program that merely imports a package of tests keeps its own command line
		return
	}
	testing.Init() // declares the flags of package testing; main calls it again to no effect
	if first := flag.Lookup("test.paniconexit0"); first != nil {
		first.Value = declareUpdate{first.Value}
		os.Args = withFirstFlag(os.Args)
	}
}

// withFirstFlag returns the arguments of a test binary that is started without go test (./shop.test -update, a debugger)
// as go test would begin them, if they have -update: with the flag that declares it, at its default.
func withFirstFlag(args []string) []string {
	update := false
	for _, arg := range args[min(1, len(args)):] {
		if arg == "--" {
			break
		}
		name, isFlag := strings.CutPrefix(arg, "-")
		name, _, _ = strings.Cut(strings.TrimPrefix(name, "-"), "=")
		switch {
		case isFlag && name == "test.paniconexit0":
			return args
		case isFlag && name == updateFlag:
			update = true
		}
	}
	if !update {
		return args
	}
	return slices.Insert(slices.Clone(args), 1, "-test.paniconexit0=false")
}

// declareUpdate is the value of a flag of package testing that declares -update when it is set.
type declareUpdate struct{ flag.Value }

func (d declareUpdate) Set(s string) error {
	if flag.Lookup(updateFlag) == nil {
		flag.Bool(updateFlag, false, "write the golden files of netzerotest instead of comparing with them")
	}
	return d.Value.Set(s)
}

// String works for the zero value too, which the flag package makes to find out what a default looks like.
func (d declareUpdate) String() string {
	if d.Value == nil {
		return ""
	}
	return d.Value.String()
}

// Get and IsBoolFlag are not in flag.Value, and would be hidden.

func (d declareUpdate) Get() any {
	if g, ok := d.Value.(flag.Getter); ok {
		return g.Get()
	}
	return nil
}

func (d declareUpdate) IsBoolFlag() bool {
	b, ok := d.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// updating reports whether golden files shall be written: by -update, ours or anybody's that can be true, or by
// NETZERO_UPDATE. An unknown value of the variable is an error, so that nobody takes a comparison for an update.
func updating() (bool, error) {
	byFlag := isTrue(flag.Lookup(updateFlag))
	switch value := os.Getenv(updateVariable); strings.ToLower(value) {
	case "1", "true", "yes":
		return true, nil
	case "", "0", "false", "no":
		return byFlag, nil
	default:
		return byFlag, fmt.Errorf("read %s: %q is neither 1, true or yes nor 0, false or no", updateVariable, value)
	}
}

// isTrue reports whether a flag of any type holds true, and nothing else: an -update of somebody's that is a number or
// a pattern has another meaning.
func isTrue(f *flag.Flag) bool {
	if f == nil {
		return false
	}
	if g, ok := f.Value.(flag.Getter); ok && g.Get() == true {
		return true
	}
	return f.Value.String() == "true"
}
