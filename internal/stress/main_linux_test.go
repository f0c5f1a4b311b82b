package stress

import (
	"os"
	"regexp"
	"testing"
)

// goldensVariable has the directory of the golden files; where it is set, this binary is the user's.
const goldensVariable = "CROWD_GOLDENS"

func TestMain(m *testing.M) {
	if os.Getenv(goldensVariable) == "" {
		os.Exit(m.Run())
	}
	// Like the generated main function of a test binary, with other tests.
	testing.Main(regexp.MatchString, []testing.InternalTest{{Name: "TestCrowd", F: userCrowd}}, nil, nil)
}
