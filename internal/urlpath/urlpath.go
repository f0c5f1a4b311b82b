// Package urlpath holds paths of URLs in which placeholders stand for what differs from run to run.
//
// A placeholder is a whole segment: "/api/v1/invoices/{digits}". The classes are digits, uuid, ulid, hex (16 digits
// and more) and date (ISO 8601). Any other word in braces stands for any one segment, which is never empty. A segment
// gets a class by its own form alone, the narrowest that fits, so that the same path always gives the same pattern.
// Everything else stays as it was sent.
//
// A pattern is text: it holds literal bytes as they are sent, except that "{", "}", "," and bytes outside of visible
// ASCII are percent-encoded. So it can be an entry of an annotation, and the two spellings of such a byte match alike.
package urlpath

// Pattern is a path with placeholders, in its only spelling. The zero value is not a pattern.
type Pattern string

// Of returns the pattern of a path, as it is written to a policy: the first of folds that matches, else the path with
// its classes. "*" is the pattern of "*".
func Of(path string, folds []string) Pattern { panic("not written") }

// Parse parses a pattern that a person may have edited. The error says what is wrong with it.
func Parse(text string) (Pattern, error) { panic("not written") }

// CheckFold returns what is wrong with a pattern of the option FoldPaths, or nil. It needs at least one placeholder.
func CheckFold(text string) error { panic("not written") }

// Matches reports whether a path, as sent and without its query, matches.
func (p Pattern) Matches(path string) bool { panic("not written") }

// Regexp returns a regular expression of RE2 syntax for the same paths, without anchors. Literals are quoted.
func (p Pattern) Regexp() string { panic("not written") }
