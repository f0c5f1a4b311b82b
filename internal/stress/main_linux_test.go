package stress

import (
	"os"
	"regexp"
	"testing"
)

// goldensVariable contains the directory of the golden files. If it is set, this is the test binary of a user.
const goldensVariable = "STRESS_GOLDENS"

func TestMain(m *testing.M) {
	if os.Getenv(goldensVariable) == "" {
		os.Exit(m.Run())
	}
	// Like the generated main function of a test binary, with other tests.
	testing.Main(regexp.MatchString, []testing.InternalTest{{Name: "TestStress", F: userStress}}, nil, nil)
}
