package endpoint

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxCommand limits a command line, in bytes.
const maxCommand = 4096

const cutMark = "…"

// commandLine renders NUL-separated arguments in shell syntax: separated by spaces, and quoted if they contain anything
// that a shell or a terminal interprets. A result longer than maxCommand is cut and ends in "…".
func commandLine(cmdline []byte) string {
	// Programs that change their title (nginx, postgres) leave NULs behind it.
	s := strings.TrimRight(string(cmdline), "\x00")
	if s == "" {
		return ""
	}
	var b strings.Builder
	for i, arg := range strings.Split(s, "\x00") {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quote(arg))
		if b.Len() > maxCommand {
			return cut(b.String())
		}
	}
	return b.String()
}

// cut shortens s to at most maxCommand bytes at the boundary of a rune.
func cut(s string) string {
	n := maxCommand - len(cutMark)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + cutMark
}

func quote(arg string) string {
	plain, printable := arg != "", utf8.ValidString(arg)
	for _, r := range arg {
		printable = printable && unicode.IsPrint(r)
		plain = plain && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_@%+=:,./-", r))
	}
	switch {
	case plain && printable:
		return arg
	case printable:
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return quoteEscaped(arg)
}

// quoteEscaped writes $'…', with C's escapes, so that no control character reaches a terminal.
func quoteEscaped(arg string) string {
	var b strings.Builder
	b.WriteString("$'")
	for len(arg) > 0 {
		r, n := utf8.DecodeRuneInString(arg)
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == utf8.RuneError && n == 1, r < 0x20, r == 0x7f:
			fmt.Fprintf(&b, `\%03o`, arg[0]) // always three octal digits, so that a following digit stays separate
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\U%08s`, strings.ToUpper(strconv.FormatInt(int64(r), 16)))
		}
		arg = arg[n:]
	}
	b.WriteByte('\'')
	return b.String()
}
