package urlpath_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/netzero-dev/netzero/internal/urlpath"
)

func TestOf_ClassesByForm(t *testing.T) {
	for _, c := range []struct{ reason, path, want string }{
		{"nothing differs", "/api/v1/charge", "/api/v1/charge"},
		{"the form of OPTIONS", "*", "*"},
		{"the root", "/", "/"},
		{"digits", "/invoices/123", "/invoices/{digits}"},
		{"one digit", "/7/x", "/{digits}/x"},
		{"digits, however many", "/0123456789012345678901234567", "/{digits}"},
		{"digits in a word stay", "/v1/a1", "/v1/a1"},
		{"a sign is no digit", "/-1/1.5", "/-1/1.5"},
		{"digits of another script", "/\u0661", "/%D9%A1"},
		{"uuid", "/x/6ba7b810-9dad-11d1-80b4-00c04fd430c8", "/x/{uuid}"},
		{"uuid in upper case", "/x/6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "/x/{uuid}"},
		{"uuid of digits", "/00000000-0000-0000-0000-000000000000", "/{uuid}"},
		{"a uuid that is too short", "/6ba7b810-9dad-11d1-80b4-00c04fd430c", "/6ba7b810-9dad-11d1-80b4-00c04fd430c"},
		{"a uuid in braces", "/{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", "/%7B6ba7b810-9dad-11d1-80b4-00c04fd430c8%7D"},
		{"ulid", "/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/{ulid}"},
		{"ulid in lower case", "/01arz3ndektsv4rrffq69g5fav", "/{ulid}"},
		{"ulid in mixed case", "/01arz3ndektsv4rrffq69g5faV", "/01arz3ndektsv4rrffq69g5faV"},
		{"a ulid of more than 128 bits", "/81ARZ3NDEKTSV4RRFFQ69G5FAV", "/81ARZ3NDEKTSV4RRFFQ69G5FAV"},
		{"U is not in Crockford's alphabet", "/01ARZ3NDEKTSV4RRFFQ69G5FAU", "/01ARZ3NDEKTSV4RRFFQ69G5FAU"},
		{"hex", "/blobs/00112233445566aa", "/blobs/{hex}"},
		{"hex of 15", "/blobs/0112233445566aa", "/blobs/0112233445566aa"},
		{"hex without a digit", "/DEADBEEFDEADBEEF", "/{hex}"},
		{"hex of 26, which a ulid may be", "/0112233445566aa0112233445a", "/{ulid}"},
		{"hex of 26, which no ulid is", "/9112233445566aa0112233445a", "/{hex}"},
		{"date", "/reports/2006-01-02", "/reports/{date}"},
		{"the first and the last day by form", "/2006-01-01/2006-12-31/2006-02-31", "/{date}/{date}/{date}"},
		{"no such month", "/2006-13-02", "/2006-13-02"},
		{"no such day", "/2006-01-32", "/2006-01-32"},
		{"day zero", "/2006-01-00", "/2006-01-00"},
		{"a date with a time", "/2006-01-02T15:04", "/2006-01-02T15:04"},
		{"several", "/a/1/b/2", "/a/{digits}/b/{digits}"},
		{"empty segments, dots and a slash at the end", "//a/./../1/", "//a/./../{digits}/"},
		{"escapes stay", "/a%2fb/%2F/%61/%zz/%", "/a%2fb/%2F/%61/%zz/%"},
		{"an escaped digit is no digit", "/%31", "/%31"},
		{"bytes with a meaning in annotations", "/a,b{c}", "/a%2Cb%7Bc%7D"},
		{"their escapes in one spelling", "/a%2cb%7bc%7D", "/a%2Cb%7Bc%7D"},
		{"bytes outside of visible ASCII", "/\u00e9 \x7f\x00", "/%C3%A9%20%7F%00"},
		{"bytes that are not UTF-8", "/\xff\xc3", "/%FF%C3"},
		{"a percent sign before a comma", "/%,2C/%2,", "/%%2C2C/%2%2C"},
		{"gRPC", "/hipstershop.CartService/GetCart", "/hipstershop.CartService/GetCart"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			got := urlpath.Of(c.path, nil)
			if string(got) != c.want {
				t.Errorf("Of(%q) = %q, want %q", c.path, got, c.want)
			}
			if !got.Matches(c.path) {
				t.Errorf("%q does not match %q, of which it is", got, c.path)
			}
		})
	}
}

func TestOf_Folds(t *testing.T) {
	for _, c := range []struct {
		reason, path, want string
		folds              []string
	}{
		{"a fold", "/customers/alice", "/customers/{name}", []string{"/customers/{name}"}},
		{"it is written as it is spelled", "/customers/12", "/customers/{name}", []string{"/customers/{name}"}},
		{"fewer segments", "/customers", "/customers", []string{"/customers/{name}"}},
		{"more segments", "/customers/alice/1", "/customers/alice/{digits}", []string{"/customers/{name}"}},
		{"an empty segment", "/customers/", "/customers/", []string{"/customers/{name}"}},
		{"other literals", "/users/alice", "/users/alice", []string{"/customers/{name}"}},
		{"the case of literals counts", "/Customers/a", "/Customers/a", []string{"/customers/{name}"}},
		{"a class in a fold", "/a/b/1", "/a/{x}/{digits}", []string{"/a/{x}/{digits}"}},
		{"a class in a fold that does not fit", "/a/b/c", "/a/b/c", []string{"/a/{x}/{digits}"}},
		{"literals in another spelling", "/a,b/c", "/a%2Cb/{x}", []string{"/a%2cb/{x}"}},
		{"the one that sorts first", "/a/b", "/a/{x}", []string{"/{y}/b", "/a/{x}"}},
		{"the same in another order", "/a/b", "/a/{x}", []string{"/a/{x}", "/{y}/b"}},
		{"one that is refused matches nothing", "/a/1", "/a/{digits}", []string{"/a/{", ""}},
		{"the form of OPTIONS", "*", "*", []string{"/{x}"}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			if got := urlpath.Of(c.path, c.folds); string(got) != c.want {
				t.Errorf("Of(%q, %q) = %q, want %q", c.path, c.folds, got, c.want)
			}
		})
	}
}

func TestParse_OneSpelling(t *testing.T) {
	for text, want := range map[string]string{
		"*":                "*",
		"/":                "/",
		"/a/{digits}/{x}/": "/a/{digits}/{x}/",
		"/a,b/%7b%7D":      "/a%2Cb/%7B%7D",
		"/\u00e9":          "/%C3%A9",
		"/%c3%a9/%2f":      "/%C3%A9/%2f",
		"/a*":              "/a*",
	} {
		got, err := urlpath.Parse(text)
		if err != nil || string(got) != want {
			t.Errorf("Parse(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", `path "": it begins with a slash, or is "*"`},
		{"a/b", `path "a/b": it begins with a slash, or is "*"`},
		{"**", `path "**": it begins with a slash, or is "*"`},
		{"/a/b{c}", `path "/a/b{c}": segment 2, "b{c}": a placeholder is a whole segment; ` +
			`a brace that is no placeholder is %7B or %7D`},
		{"/{c}b/", `path "/{c}b/": segment 1, "{c}b": a placeholder is a whole segment; ` +
			`a brace that is no placeholder is %7B or %7D`},
		{"/{", `path "/{": segment 1, "{": a placeholder is a whole segment; ` +
			`a brace that is no placeholder is %7B or %7D`},
		{"/{}", `path "/{}": segment 1, "{}": a placeholder is a word of letters, digits and "_", "-", "." in braces`},
		{"/{a b}", `path "/{a b}": segment 1, "{a b}": ` +
			`a placeholder is a word of letters, digits and "_", "-", "." in braces`},
		{"/{a}{b}", `path "/{a}{b}": segment 1, "{a}{b}": ` +
			`a placeholder is a word of letters, digits and "_", "-", "." in braces`},
		{"/{UUID}", `path "/{UUID}": segment 1, "{UUID}": the class is spelled {uuid}`},
		{"/a?b=c", `path "/a?b=c": segment 1, "a?b=c": a pattern has no query; a question mark in a path is %3F`},
		{"/a b", `path "/a b": segment 1, "a b": a space or control character is written as %20`},
		{"/\n", `path "/\n": segment 1, "\n": a space or control character is written as %0A`},
	} {
		got, err := urlpath.Parse(c.text)
		if err == nil || err.Error() != c.want {
			t.Errorf("Parse(%q) = %q, %v, want error %q", c.text, got, err, c.want)
		}
	}
}

func TestCheckFold_NeedsAPlaceholder(t *testing.T) {
	for _, text := range []string{"/customers/{name}", "/{digits}", "/a/{x}/b/{y}/"} {
		if err := urlpath.CheckFold(text); err != nil {
			t.Errorf("CheckFold(%q): %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"/customers": `path "/customers": it has no placeholder, like {name}`,
		"/%7Bx%7D":   `path "/%7Bx%7D": it has no placeholder, like {name}`,
		"*":          `path "*": it has no placeholder, like {name}`,
		"customers":  `path "customers": it begins with a slash, or is "*"`,
	} {
		if err := urlpath.CheckFold(text); err == nil || err.Error() != want {
			t.Errorf("CheckFold(%q) = %v, want %q", text, err, want)
		}
	}
}

func TestMatches_SegmentsAndSpellings(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
	}{
		{"/a/{digits}", []string{"/a/0", "/a/123"}, []string{"/a/", "/a/x", "/a/1/", "/a/1/2", "/b/1", "a/1", "/a/1?x"}},
		{"/{x}", []string{"/a", "/{", "/%2F", "/\u00e9"}, []string{"/", "//", "/a/", "", "*"}},
		{"*", []string{"*"}, []string{"/", "/*", "**"}},
		{"/a%2Cb", []string{"/a,b", "/a%2Cb", "/a%2cb"}, []string{"/a%252Cb", "/ab", "/A,b"}},
		{"/%C3%A9", []string{"/\u00e9", "/%c3%a9", "/%C3%a9"}, []string{"/e", "/%C3", "/\u00e8"}},
		{"/%2f", []string{"/%2f"}, []string{"/%2F", "//"}},
		{"/{hex}", []string{"/0123456789012345", "/deadbeefdeadbeef"}, []string{"/deadbeef"}},
		{"/a.b", []string{"/a.b"}, []string{"/aXb"}},
		{"/{ulid}", []string{"/01234567890123456789012345"}, []string{"/012345678901234567890123456"}},
	} {
		p, err := urlpath.Parse(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		whole := regexp.MustCompile(`^(?:` + p.Regexp() + `)$`)
		for _, path := range c.yes {
			if !p.Matches(path) || !whole.MatchString(path) {
				t.Errorf("%q, %s: does not match %q", p, whole, path)
			}
		}
		for _, path := range c.no {
			if p.Matches(path) || whole.MatchString(path) {
				t.Errorf("%q, %s: matches %q", p, whole, path)
			}
		}
	}
}

func TestRegexp_Text(t *testing.T) {
	for pattern, want := range map[string]string{
		"/pkg.Svc/Method":           `/pkg\.Svc/Method`,
		"/api/v1/invoices/{digits}": `/api/v1/invoices/[0-9]+`,
		"/customers/{name}/orders":  `/customers/[^/?]+/orders`,
		"/{uuid}":                   `/[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}`,
		"/a%2Cb":                    `/a(?:%2[Cc]|,)b`,
		"/%7Bx%7D":                  `/(?:%7[Bb]|\{)x(?:%7[Dd]|\})`,
		"/%C3%A9":                   `/(?:%[Cc]3%[Aa]9|\x{E9})`,
		"/%C3":                      `/%[Cc]3`,
		"/%C3%C3%A9%A9":             `/%[Cc]3(?:%[Cc]3%[Aa]9|\x{E9})%[Aa]9`,
		"/%F0%9F%98%80%F0%9F%98%80": `/(?:%[Ff]0%9[Ff]%98%80|\x{1F600})(?:%[Ff]0%9[Ff]%98%80|\x{1F600})`,
		"/%20%00":                   `/(?:%20|\x{20})(?:%00|\x{0})`,
		"*":                         `\*`,
		"/(a|b)+[c]^$\\":            `/\(a\|b\)\+\[c\]\^\$\\`,
		"/r/{date}/{hex}/{any}":     `/r/[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])/[0-9a-fA-F]{16,}/[^/?]+`,
	} {
		p, err := urlpath.Parse(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Regexp(); got != want {
			t.Errorf("Regexp of %q = %s, want %s", pattern, got, want)
		}
	}
}

// seeds are paths, folds and other paths.
var seeds = [][3]string{
	{"/a/1", "/a/{x}", "/a/2"}, {"*", "", "/"}, {"/%,2C%2c", "/{x}", "/%2C"}, {"/\u00e9%c3%a9", "/%C3%A9/{y}", "/\xff"},
	{"/01ARZ3NDEKTSV4RRFFQ69G5FAV/2006-01-02", "/{ulid}/{date}", "//"}, {"/{digits}", "/{digits}", "/1\n"},
	{"/%C3\u00e9%A9", "/{a}\x00", "/%C3%C3%A9%A9"}, {"/%F0%9F%98%80", "/{}", "/\U0001F600"},
}

func FuzzOf(f *testing.F) {
	for _, s := range seeds {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, path, fold string) {
		if path != "*" {
			path = "/" + path
		}
		var folds []string
		if urlpath.CheckFold(fold) == nil {
			folds = []string{fold, "/{any}", fold}
		}
		p := urlpath.Of(path, folds)
		if again := urlpath.Of(path, folds); again != p {
			t.Errorf("Of(%q) = %q and %q", path, p, again)
		}
		if !p.Matches(path) {
			t.Errorf("%q does not match %q", p, path)
		}
		if strings.ContainsFunc(string(p), func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ',' }) {
			t.Errorf("%q does not fit in an annotation", p)
		}
		// A path has no question mark; what the kernel sees as one ends it.
		if parsed, err := urlpath.Parse(string(p)); !strings.Contains(path, "?") && (err != nil || parsed != p) {
			t.Errorf("Parse(%q) = %q, %v", p, parsed, err)
		}
	})
}

func FuzzRegexp(f *testing.F) {
	for _, s := range seeds {
		f.Add(s[0], s[2])
		f.Add(s[1], s[0])
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := urlpath.Parse(text)
		if err != nil {
			return
		}
		if parsed, err := urlpath.Parse(string(p)); err != nil || parsed != p {
			t.Errorf("Parse(%q) = %q, %v", p, parsed, err)
		}
		whole, err := regexp.Compile(`^(?:` + p.Regexp() + `)$`)
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		for _, path := range []string{path, text, string(p)} {
			if utf8.ValidString(path) && p.Matches(path) != whole.MatchString(path) {
				t.Errorf("%q matches %q: %t; %s: %t", p, path, p.Matches(path), whole, whole.MatchString(path))
			}
		}
	})
}
