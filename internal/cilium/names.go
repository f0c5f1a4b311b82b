package cilium

import (
	"regexp"
	"strings"
	"sync"
)

const longestName = 255

var (
	nameShape    = regexp.MustCompile(`^([-a-zA-Z0-9_]+\.)*[-a-zA-Z0-9_]+\.?$`)
	patternShape = regexp.MustCompile(`^([-a-zA-Z0-9_*]+\.)*[-a-zA-Z0-9_*]+\.?$`)
	everyName    = regexp.MustCompile(`^\*+\.?$`)
	subdomains   = regexp.MustCompile(`^\*{2,}\.`)
	asterisks    = regexp.MustCompile(`\*+`)
)

// Matches reports whether a name, in lower case and without a trailing dot, equals the name or matches the pattern. As
// in Cilium's pkg/fqdn/matchpattern, an asterisk stands for any number of characters of one label, a leading "**." for
// one or more labels, and a pattern of asterisks alone for every name.
func (n FQDN) Matches(name string) bool {
	if n.MatchName != "" {
		return strings.TrimSuffix(strings.ToLower(n.MatchName), ".") == name
	}
	pattern := strings.ToLower(n.MatchPattern)
	if pattern == "" || everyName.MatchString(pattern) {
		return pattern != ""
	}
	expr := regexp.QuoteMeta(strings.TrimSuffix(pattern, "."))
	prefix := ""
	if lead := subdomains.FindString(pattern); lead != "" {
		prefix = `(?:[-a-z0-9_]+\.)+`
		expr = regexp.QuoteMeta(strings.TrimSuffix(pattern[len(lead):], "."))
	}
	expr = asterisks.ReplaceAllString(strings.ReplaceAll(expr, `\*`, `*`), `[-a-z0-9_]*`)
	return matches("^"+prefix+expr+"$", name)
}

var expressions sync.Map // by pattern; nil for an invalid one

// compiled returns a regular expression, or nil for an invalid one. It compiles each expression once.
func compiled(expr string) *regexp.Regexp {
	known, isKnown := expressions.Load(expr)
	if !isKnown {
		re, _ := regexp.Compile(expr)
		known, _ = expressions.LoadOrStore(expr, re)
	}
	return known.(*regexp.Regexp)
}

// matches reports whether a regular expression matches.
func matches(expr, text string) bool {
	re := compiled(expr)
	return re != nil && re.MatchString(text)
}

// String returns the name or the pattern.
func (n FQDN) String() string {
	if n.MatchName != "" {
		return n.MatchName
	}
	return n.MatchPattern
}
