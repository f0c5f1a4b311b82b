package policy

import (
	"strings"
	"testing"
)

func TestFold_RejectsUnclearPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"shard-*.db.example": "", "*.blob.core.windows.net": "", "*.com": "", "a*b.c_d.e": "",
		"":                                    "is empty",
		"*":                                   "has no dot",
		"shard-*":                             "has no dot",
		"api.example":                         "has no asterisk",
		"*.*":                                 `the last label, "*", has an asterisk`,
		"api.examp*":                          `the last label, "examp*", has an asterisk`,
		"**.example":                          "two asterisks",
		"*.example:443":                       "want a host name without a port",
		"https://*.example":                   "want a host name without a port",
		"*.Example":                           "want lower case",
		"*.example.":                          "without a dot at the end",
		"*..example":                          "is no host name",
		"* .example":                          "is no host name",
		strings.Repeat("*.", 130) + "example": "is no host name",
	} {
		err := CheckFold(pattern)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}
