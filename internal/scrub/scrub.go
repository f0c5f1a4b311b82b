// Package scrub replaces what looks like a secret in command lines, and the queries of requests, before they are written
// to files that outlive a run.
//
// It knows secrets by the words around them (options, variables, URLs, HTTP headers) and by the form of common tokens.
// A secret that neither shows stays.
package scrub

import (
	"regexp"
	"strings"
)

// Mark stands for a secret.
const Mark = "***"

// secretWord is a word in the name of an option, a variable, a header or a query parameter that holds a secret.
const secretWord = `(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|` +
	`credentials?|authorization|auth[-_][\w-]*|cookie|signature|session[-_]?(?:id|key)|bearer)`

// value is a word of a command line: quoted as a shell does, or up to the next space, quote or operator.
const value = `(?:\$?'(?:[^'\\]|\\.|'\\'')*'|"[^"]*"|[^\s'"&;|]+)`

// secrets are the places of secrets. A secret is the group named secret.
var secrets = []*regexp.Regexp{
	// A key in PEM, to its end or that of the command line.
	regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>.*?)(?:-----END|$)`),
	// Tokens of Amazon Web Services, GitHub, GitLab, Slack, Stripe, npm, PyPI and Google, and JSON Web Tokens.
	regexp.MustCompile(`(?P<secret>\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|` +
		`glpat-[\w-]{16,}|` +
		`xox[a-z]-[\w-]{10,}|[rs]k_(?:live|test)_\w{10,}|sk-[\w-]{20,}|npm_\w{30,}|pypi-[\w-]{30,}|AIza[\w-]{30,}|` +
		`eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?))`),
	// The user part of a URL: scheme://user:secret@host, or scheme://secret@host.
	regexp.MustCompile(`[a-zA-Z][\w+.-]*://[^\s/:@'"]*:(?P<secret>[^\s/'"]*)@`),
	regexp.MustCompile(`https?://(?P<secret>[^\s/:@'"]+)@`),
	// Authorization: Basic secret
	regexp.MustCompile(`(?i)\b(?:basic|bearer|digest|negotiate)\s+(?P<secret>[\w+/=.~-]{8,})`),
	// --db-password=secret, PGPASSWORD=secret, X-Api-Key: secret, ?token=secret
	regexp.MustCompile(`(?i)` + secretWord + `[\w-]*\s*[=:]\s*(?P<secret>` + value + `)`),
	// --db-password secret
	regexp.MustCompile(`(?i)(?:^|\s)--?[\w-]*` + secretWord + `[\w-]*\s+(?P<secret>[^\s-]` + value + `?)`),
	regexp.MustCompile(`(?i)(?:^|\s)--?auth[=\s]+(?P<secret>` + value + `)`),
	// curl -u user:secret
	regexp.MustCompile(`(?:^|\s)(?:-u|--user|--proxy-user)[\s=]*'?[^\s:'"]+:(?P<secret>[^\s'"]+)`),
	// mysql -psecret, redis-cli -a secret, sshpass -p secret
	regexp.MustCompile(`\b(?:mysql|mysqladmin|mysqldump|mariadb|mongo|mongosh)\b.*?\s-p(?P<secret>[^\s'"]+)`),
	regexp.MustCompile(`\bredis-cli\b.*?\s-a\s+(?P<secret>` + value + `)`),
	regexp.MustCompile(`\bsshpass\b.*?\s-p\s*(?P<secret>` + value + `)`),
}

// Command returns a command line with [Mark] in place of everything that looks like a secret. The command line is in
// shell syntax, as [flow.Process] has it.
//
// [flow.Process]: https://pkg.go.dev/github.com/netzero-dev/netzero/netzerotest/flow#Process
func Command(line string) string {
	for _, place := range secrets {
		line = replace(line, place)
	}
	return line
}

// replace replaces the secret in every match.
func replace(line string, place *regexp.Regexp) string {
	group := 2 * place.SubexpIndex("secret")
	var b strings.Builder
	end := 0
	for _, match := range place.FindAllStringSubmatchIndex(line, -1) {
		from, to := match[group], match[group+1]
		b.WriteString(line[end:from])
		b.WriteString(Mark)
		end = to
	}
	b.WriteString(line[end:])
	return b.String()
}
