package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// width is 100 columns minus go test's indentation.
const width = 100 - 8

// writer collects lines.
type writer struct{ lines []string }

func (w *writer) String() string { return strings.TrimRight(strings.Join(w.lines, "\n"), "\n") }

// line adds a line unchanged, whatever its length, unless GitHub would run it as a workflow command: "::error::text",
// with or without spaces before.
func (w *writer) line(indent int, text string) {
	if command := strings.TrimLeft(text, " "); strings.HasPrefix(command, "::") && strings.Contains(command[2:], "::") {
		text = strings.Replace(text, "::", `\x3a:`, 1)
	}
	w.lines = append(w.lines, strings.TrimRight(strings.Repeat(" ", indent)+text, " "))
}

// gap adds an empty line, but never two.
func (w *writer) gap() {
	if n := len(w.lines); n > 0 && w.lines[n-1] != "" {
		w.lines = append(w.lines, "")
	}
}

// paragraph adds a text with an indentation of two, in several lines if needed.
func (w *writer) paragraph(text string) { w.hanging("  ", "  ", clean(text), 0) }

// field adds a field of a block in at most so many lines.
func (w *writer) field(label, text string, lines int) {
	w.hanging(fmt.Sprintf("      %-8s ", label), strings.Repeat(" ", labelled), text, lines)
}

// list adds each text with a dash, and the number of those that are too many.
func (w *writer) list(indent int, texts []string) {
	for i, text := range texts {
		if i == maxBlocks {
			w.line(indent, fmt.Sprintf("... and %d more", len(texts)-i))
			return
		}
		w.hanging(strings.Repeat(" ", indent)+"- ", strings.Repeat(" ", indent+2), clean(text), 0)
	}
}

// command adds a command, on a separate line if it does not fit after its label. It is never broken, because people
// copy it.
func (w *writer) command(label, command string) {
	command = clean(command)
	if utf8.RuneCountInString("  "+label+command) <= width {
		w.line(2, label+command)
		return
	}
	w.line(2, strings.TrimSpace(label))
	w.line(6, command)
}

// hanging breaks a text between words into lines that begin with the given prefixes. lines is the maximum number; 0
// means any.
func (w *writer) hanging(first, next, text string, lines int) {
	prefix := first
	for n := 1; ; n++ {
		room := width - utf8.RuneCountInString(prefix)
		if n == lines {
			w.line(0, prefix+shorten(text, room))
			return
		}
		head, rest := breakLine(text, room)
		w.line(0, prefix+head)
		if rest == "" {
			return
		}
		prefix, text = next, rest
	}
}

// breakLine cuts a text before the first word that does not fit. A word longer than any line stays whole on its line,
// because people search for it and copy it.
func breakLine(text string, room int) (head, rest string) {
	if utf8.RuneCountInString(text) <= room {
		return text, ""
	}
	end := lastSpace(text, room)
	if end <= 0 {
		end = strings.IndexByte(text, ' ')
	}
	if end <= 0 {
		return text, ""
	}
	return strings.TrimRight(text[:end], " "), strings.TrimLeft(text[end:], " ")
}

// maxWord is the number of columns of a word that are shown: no file name is longer.
const maxWord = 255

// shorten drops the last words of a text that has more than so many columns, and shows that it did. It never cuts a
// word, except a first word of more than maxWord columns.
func shorten(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	const mark = "..."
	if end := lastSpace(text, columns-len(mark)-1); end > 0 {
		return strings.TrimRight(text[:end], " ") + " " + mark
	}
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case utf8.RuneCountInString(word) > maxWord:
		return string([]rune(word)[:maxWord-len(mark)]) + mark
	case rest != "":
		return word + " " + mark
	}
	return word
}

// lastSpace returns the index of the last space before which a text has at most so many columns, or -1.
func lastSpace(text string, columns int) int {
	last := -1
	for i, r := range text {
		if r == ' ' {
			last = i
		}
		if columns--; columns < 0 {
			break
		}
	}
	return last
}

// Line returns a text as one printable line: all non-printable characters are escaped, like those of Go strings.
func Line(text string) string { return clean(text) }

// clean escapes all non-printable characters, like Go strings: line ends, colours, marks that change the direction of
// text, invalid UTF-8.
func clean(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// Elapsed returns a duration with useful precision: "under 1ms", "340ms", "1.2s", "12s", "2m5s", "1h3m".
func Elapsed(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "under 1ms"
	case d.Round(time.Millisecond) < time.Second:
		return d.Round(time.Millisecond).String()
	case d.Round(100*time.Millisecond) < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d.Round(time.Second) < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
