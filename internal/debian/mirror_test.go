package debian

import (
	"errors"
	"testing"
)

func TestMirrors_FromMachine(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		want         mirrors
		err          error
	}{
		{"archive and security", `
http://mirror.invalid/debian/ bookworm
http://mirror.invalid/debian/ bookworm-updates
http://security.invalid/debian-security/ bookworm-security
`, mirrors{"http://mirror.invalid/debian", "http://security.invalid/debian-security"}, nil},
		{"others' repositories come first", `
https://apt.invalid/ cloud-sdk-bookworm
https://node.invalid/ nodistro
https://sql.invalid/ bookworm-pgdg
http://mirror.invalid/debian trixie
`, mirrors{"http://mirror.invalid/debian", "http://mirror.invalid/debian-security"}, nil},
		{"by the release's role", "http://mirror.invalid/debian/ stable\n",
			mirrors{"http://mirror.invalid/debian", "http://mirror.invalid/debian-security"}, nil},
		{"security as it was called before",
			"http://a.invalid/debian/ oldstable\nhttp://s.invalid/ oldstable/updates\n",
			mirrors{"http://a.invalid/debian", "http://s.invalid"}, nil},
		{"another distribution", "http://ubuntu.invalid/ubuntu/ noble\nhttp://ubuntu.invalid/ubuntu/ noble-security\n",
			mirrors{}, ErrNoMirror},
		{"no source at all", "", mirrors{}, ErrNoMirror},
	} {
		got, err := parseTargets(c.text)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.reason, err, c.err)
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.reason, got, c.want)
		}
	}
}

func TestSources_SignedBy(t *testing.T) {
	m := mirrors{"http://mirror.invalid/debian", "http://security.invalid/debian-security"}
	got := m.sources("/keys/debian.gpg", "arm64", []Suite{{"bullseye-security", true}, {"experimental", false}})
	const options = "deb [arch=arm64 signed-by=/keys/debian.gpg] "
	want := options + "http://security.invalid/debian-security bullseye-security main\n" +
		options + "http://mirror.invalid/debian experimental main\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
