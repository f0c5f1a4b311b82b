package stress

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// goldensVariable contains the directory of the golden files. If it is set, this is the test binary of a user.
const goldensVariable = "STRESS_GOLDENS"

func TestMain(m *testing.M) {
	if os.Getenv(goldensVariable) == "" {
		os.Exit(m.Run())
	}
	if destinations := os.Getenv(dialVariable); destinations != "" {
		dialInChild(strings.Fields(destinations))
		return
	}
	// Like the generated main function of a test binary, with other tests.
	testing.Main(regexp.MatchString, []testing.InternalTest{
		{Name: "TestStress", F: userStress}, {Name: "TestEnforce", F: userEnforce},
	}, nil, nil)
}
