package recorded

import (
	"flag"
	"os"
	"regexp"
	"testing"
)

var writeGolden = flag.Bool("write-golden", false, "write the files in testdata instead of comparing with them")

// The roles of this binary other than the tests of this package.
const (
	asVariable = "RECORDED_AS"
	asUser     = "user" // the user's test binary
)

func TestMain(m *testing.M) {
	switch as := os.Getenv(asVariable); as {
	case "":
		os.Exit(m.Run())
	case asUser:
		// Like the generated main function of a test binary, with other tests.
		testing.Main(regexp.MatchString, userTests, nil, nil)
	default:
		os.Exit(runChild(as))
	}
}
