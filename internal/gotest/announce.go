package gotest

import (
	"fmt"
	"os"
	"sync"
)

var (
	announced sync.Map // the texts
	// stdout is standard output even while a test replaces it to capture what it prints.
	stdout = os.Stdout
)

// Announce writes a line to standard error, once for each text. With a list of packages, go test hides the output of a
// test binary that passes; then the line also goes to where go test itself writes, or else to the terminal.
func Announce(text string) {
	if _, again := announced.LoadOrStore(text, true); again {
		return
	}
	line := fmt.Sprintf("netzero: %s\n", text)
	fmt.Fprint(os.Stderr, line)
	if isVerbose() {
		return
	}
	if out := behindGoTest(); out != nil {
		fmt.Fprint(out, line)
		out.Close()
	}
}

// PrintFailure writes lines to standard output, for a CI system that reads commands at the beginning of a line. text
// ends with a line end. The test fails, so that go test shows the output of its package. An empty line comes first,
// because the test may have left a line unfinished.
//
// With -json, the lines are the output of an event, as all that a test prints.
func PrintFailure(text string) { fmt.Fprint(stdout, "\n"+text) }

// Print is [PrintFailure] for a test that may pass. If go test hides the output of a test binary that passes, the lines
// go to where go test itself writes.
func Print(text string) {
	if !isVerbose() {
		if out := behindGoTest(); out != nil {
			fmt.Fprint(out, "\n"+text)
			out.Close()
			return
		}
	}
	PrintFailure(text)
}
