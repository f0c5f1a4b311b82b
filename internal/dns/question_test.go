package dns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

func TestParseQuestion_Valid(t *testing.T) {
	ask := func(h dnsmessage.Header, names ...string) []byte {
		b := dnsmessage.NewBuilder(nil, h)
		if err := b.StartQuestions(); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeAAAA,
				Class: dnsmessage.ClassINET}); err != nil {
				t.Fatal(err)
			}
		}
		text, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	got, err := ParseQuestion(ask(dnsmessage.Header{ID: 7}, "API.test."))
	if diff := cmp.Diff(Question{ID: 7, Name: "api.test", Type: 28}, got); diff != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, diff)
	}
	for reason, message := range map[string][]byte{
		"a response":    ask(dnsmessage.Header{Response: true}, "api.test."),
		"another task":  ask(dnsmessage.Header{OpCode: 5}, "api.test."),
		"no question":   ask(dnsmessage.Header{}),
		"two questions": ask(dnsmessage.Header{}, "a.test.", "b.test."),
		"half a header": {1, 2, 3},
		"half a name":   ask(dnsmessage.Header{}, "api.test.")[:15],
	} {
		if q, err := ParseQuestion(message); err == nil {
			t.Errorf("%s is the question %+v", reason, q)
		}
	}
}

func TestWireName_Valid(t *testing.T) {
	for wire, want := range map[string]string{
		"\x00":                    "",
		"\x03API\x04test\x00":     "api.test",
		"\x03a b\x02_x\x00":       `a\032b._x`,
		"\x03a.b\x00":             `a\046b`,
		"\x01a\x00behind the end": "a",
	} {
		got, ok := WireName([]byte(wire))
		if got != want || !ok {
			t.Errorf("%q is %q (%t), want %q", wire, got, ok, want)
		}
	}
	for _, wire := range []string{"", "\x03api", "\x03api\x04test", "\x04api", "\xc0\x0c"} {
		if got, ok := WireName([]byte(wire)); ok {
			t.Errorf("%q is %q", wire, got)
		}
	}
}

func TestHostOf_Question(t *testing.T) {
	for question, want := range map[string]string{
		"api.test": "api.test", "_sip._udp.api.test": "api.test", "_8443._https.api.test": "api.test",
		"a._x.test": "a._x.test", "_x": "", "": "",
	} {
		if got := HostOf(question); got != want {
			t.Errorf("%q is about %q, want %q", question, got, want)
		}
	}
}
