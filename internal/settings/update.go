package settings

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

// updateFlag is a common name. A test package or its imports may declare it too, and some (gotest.tools/golden, goldie)
// do not check whether it exists. Declaring a flag twice panics. See [DeclareUpdate].
const updateFlag = "update"

// updateVariable does the same as -update, for runs in which the flag cannot be passed: with `go test ./...`, some
// packages may not declare it.
const updateVariable = "NETZERO_UPDATE"

// DeclareUpdate makes this test binary declare the flag -update after all init functions and variables of other
// packages, but before the command line is parsed. An init function calls it, after the flags of package testing were
// declared.
//
// A package without TestMain offers no such moment. But go test passes -test.paniconexit0 before all other flags, and
// the flag package calls Set for it.
func DeclareUpdate() {
	if first := flag.Lookup("test.paniconexit0"); first != nil {
		first.Value = declareUpdate{first.Value}
		os.Args = withFirstFlag(os.Args)
	}
}

// withFirstFlag returns the arguments of a test binary that was started without go test (./shop.test -update, a
// debugger). If they contain -update, it prepends the flag that declares it, with its default, as go test would.
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

// declareUpdate wraps the value of a flag of package testing. It declares -update when that flag is set.
type declareUpdate struct{ flag.Value }

func (d declareUpdate) Set(s string) error {
	if flag.Lookup(updateFlag) == nil {
		flag.Bool(updateFlag, false, "write the golden files of netzerotest instead of comparing with them")
	}
	return d.Value.Set(s)
}

// String works for the zero value too, which the flag package creates to find out whether a value is the default.
func (d declareUpdate) String() string {
	if d.Value == nil {
		return ""
	}
	return d.Value.String()
}

// flag.Value does not contain Get and IsBoolFlag, so embedding would hide them.

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

// updating reports whether to write golden files: because of NETZERO_UPDATE, or because a flag -update is true,
// whichever package declares it. An unknown value of the variable is an error. Otherwise a comparison might be taken
// for an update.
func updating() (bool, error) {
	byVariable, err := isSet(updateVariable)
	return byVariable || isTrue(flag.Lookup(updateFlag)), err
}

// isSet reports whether a variable is true. An unknown value is an error.
func isSet(variable string) (bool, error) {
	switch value := os.Getenv(variable); strings.ToLower(value) {
	case "1", "true", "yes":
		return true, nil
	case "", "0", "false", "no":
		return false, nil
	default:
		return false, fmt.Errorf("read %s: %q is neither 1, true or yes nor 0, false or no", variable, value)
	}
}

// isTrue reports whether a flag of any type is true. An -update of another package may be a number or a pattern. That
// has another meaning and counts as false.
func isTrue(f *flag.Flag) bool {
	if f == nil {
		return false
	}
	if g, ok := f.Value.(flag.Getter); ok && g.Get() == true {
		return true
	}
	return f.Value.String() == "true"
}
