package probe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestCandidates_ServerNamesDisambiguate(t *testing.T) {
	testenv.Recorded(t, "names asked for at once are told apart by what clients call the server")
	enterNetns(t)
	r, s := newRig(t, Sizes{}), newResolver(t)
	to := drain(t, "tcp4", netnsAddr4) // not where the resolver sends its answers
	answers, words := make(map[string][]byte), make(map[string][]byte)
	for _, name := range []string{"a", "b", "c"} {
		answers[name] = message(t, name+".test.", name+".test. A "+to.Addr().String())
		words[name] = records(handshake(serverName(name+".test")), 1<<14)
	}
	words["request"] = []byte("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")
	words["neither"] = []byte("neither")
	for i, step := range []struct {
		reason  string
		answers string
		says    string // each on a connection of its own
		want    []string
	}{
		{"one question", "a", "a", []string{"tls a.test x1, asked"}},
		{"the same once more is counted only", "a", "a", nil},
		{"two questions", "b c", "c request", []string{"http b.test x1, asked", "tls c.test x1, asked"}},
		{"more connections than questions", "", "b", []string{"tls b.test x1"}},
		{"two questions again, and a client that names nothing", "a b", "b neither", []string{"nothing  x1, asked", "tls b.test x1, asked"}},
		{"two questions, both connections after the second", "c a", "a a", []string{"tls a.test x2, asked"}},
		// As many connections as questions have come, but look-ups are shared: it may be for one of those still.
		{"a question alone, shortly after others", "b", "c", []string{"tls c.test x1, asked"}},
		{"the same name, from then on", "b b", "b b", []string{"tls b.test x2, asked"}},
	} {
		r.clear()
		for _, name := range strings.Fields(step.answers) {
			s.answer(answers[name])
		}
		for _, name := range strings.Fields(step.says) {
			sendPayload(t, to, words[name])
		}
		if diff := cmp.Diff(step.want, r.serverNames()); diff != "" {
			t.Errorf("step %d, %s: names (-want +got):\n%s", i, step.reason, diff)
		}
	}
	r.mustLoseNothing()
}
