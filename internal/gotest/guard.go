package gotest

import "flag"

// PreventRun keeps m.Run from running tests until allow is called: it calls report instead and fails. With
// -test.parallel=0, m.Run refuses to run and prints the usage, which PreventRun replaces.
func PreventRun(report func()) (allow func()) {
	parallel, usage := flag.Lookup("test.parallel"), flag.Usage
	before := parallel.Value.String()
	flag.Usage = func() {
		if HasCaller(func(f string) bool { return f == "testing.(*M).Run" }) {
			report()
		} else {
			usage()
		}
	}
	set := func(value string) {
		if err := parallel.Value.Set(value); err != nil {
			panic(err) // the flag is an int
		}
	}
	set("0")
	return func() {
		set(before)
		flag.Usage = usage
	}
}
