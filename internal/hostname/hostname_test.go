package hostname

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/cryptobyte"
)

// extension returns the body of a server_name extension like a client's.
func extension(nameType uint8, names ...string) []byte {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, name := range names {
			b.AddUint8(nameType)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		}
	})
	return b.BytesOrPanic()
}

func TestHostname_Names(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 61)+".", 4)
	for _, row := range []struct {
		reason string
		parse  func([]byte) (string, error)
		sent   []byte
		want   string
		err    error
	}{
		{"a name", FromTLS, extension(0, "api.pay.test"), "api.pay.test", nil},
		{"one form of upper and lower case", FromTLS, extension(0, "API.Pay.Test"), "api.pay.test", nil},
		{"clients send the dot, though they must not", FromTLS, extension(0, "api.pay.test."), "api.pay.test", nil},
		{"an underscore is no letter of hosts, and yet in use", FromTLS, extension(0, "my_db.test"), "my_db.test", nil},
		{"the longest name", FromTLS, extension(0, long+"abcde"), long + "abcde", nil},
		{"a longer one", FromTLS, extension(0, long+"abcdef"), "", ErrMalformed},
		{"two dots", FromTLS, extension(0, "a..test"), "", ErrMalformed},
		{"two dots at the end", FromTLS, extension(0, "a.test.."), "", ErrMalformed},
		{"a label that is too long", FromTLS, extension(0, strings.Repeat("a", 64)+".test"), "", ErrMalformed},
		{"a hyphen in front", FromTLS, extension(0, "-a.test"), "", ErrMalformed},
		{"a hyphen at the end", FromTLS, extension(0, "a-.test"), "", ErrMalformed},
		{"bytes that no terminal should see", FromTLS, extension(0, "a\x1b[2J.test"), "", ErrMalformed},
		{"a NUL", FromTLS, extension(0, "a.test\x00.evil.test"), "", ErrMalformed},
		{"a comma would end the name in an annotation", FromTLS, extension(0, "a.test,b.test"), "", ErrMalformed},
		{"a pattern", FromTLS, extension(0, "*.test"), "", ErrMalformed},
		{"letters outside of ASCII are sent as punycode", FromTLS, extension(0, "bücher.test"), "", ErrMalformed},
		{"an IPv4 address", FromTLS, extension(0, "203.0.113.9"), "", ErrAddress},
		{"an IPv6 address", FromTLS, extension(0, "2001:db8::1"), "", ErrAddress},
		{"an empty name", FromTLS, extension(0, ""), "", ErrMalformed},
		{"no name in the list", FromTLS, extension(0), "", ErrMalformed},
		{"two names in the list", FromTLS, extension(0, "a.test", "b.test"), "", ErrMalformed},
		{"a type of name that nobody defined", FromTLS, extension(1, "a.test"), "", ErrMalformed},
		{"nothing at all", FromTLS, nil, "", ErrMalformed},
		{"a list that is said to be longer than it is", FromTLS, []byte{0, 9, 0, 0, 1, 'a'}, "", ErrMalformed},
		{"a name that is said to be longer than it is", FromTLS, []byte{0, 4, 0, 0xff, 0xff, 'a'}, "", ErrMalformed},
		{"something after the list", FromTLS, append(extension(0, "a.test"), 0), "", ErrMalformed},

		{"a host", FromHTTP, []byte("api.pay.test"), "api.pay.test", nil},
		{"a host with a port", FromHTTP, []byte("API.pay.test:8080"), "api.pay.test", nil},
		{"a port of no digits", FromHTTP, []byte("api.pay.test:"), "api.pay.test", nil},
		{"space around it", FromHTTP, []byte(" api.pay.test\t"), "api.pay.test", nil},
		{"a port that is none", FromHTTP, []byte("api.pay.test:http"), "", ErrMalformed},
		{"a port that is too large", FromHTTP, []byte("api.pay.test:65536"), "", ErrMalformed},
		{"an IPv4 address with a port", FromHTTP, []byte("203.0.113.9:80"), "", ErrAddress},
		{"an IPv6 address with a port", FromHTTP, []byte("[2001:db8::1]:80"), "", ErrAddress},
		{"who the client is has no place there", FromHTTP, []byte("user@a.test"), "", ErrMalformed},
		{"two hosts", FromHTTP, []byte("a.test, b.test"), "", ErrMalformed},
		{"no host, as HTTP/1.1 allows", FromHTTP, nil, "", ErrMalformed},
	} {
		got, err := row.parse(row.sent)
		if diff := cmp.Diff(row.want, got); diff != "" || !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
			t.Errorf("%s: error %v, want %v (-want +got):\n%s", row.reason, err, row.err, diff)
		}
	}
}

// A client's bytes end up in another program's file, so every result must be a host name.
func FuzzNames(f *testing.F) {
	f.Add(extension(0, "api.pay.test"))
	f.Add(extension(0, "a.test", "b.test"))
	f.Add([]byte("api.pay.test:80"))
	f.Add([]byte("[2001:db8::1]:80"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, parse := range []func([]byte) (string, error){FromTLS, FromHTTP} {
			name, err := parse(sent)
			if (name == "") != (err != nil) {
				t.Fatalf("name %q with error %v", name, err)
			}
			if err == nil && (len(name) > maxName ||
				strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "") {
				t.Fatalf("%q is no name", name)
			}
			if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrAddress) {
				t.Fatalf("error %v is of no class", err)
			}
			again, err2 := canonical(name)
			if err == nil && (err2 != nil || again != name) {
				t.Fatalf("%q is not its own form, but %q (%v)", name, again, err2)
			}
		}
	})
}
