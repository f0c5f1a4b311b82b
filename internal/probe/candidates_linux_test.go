package probe

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/testenv"
)

func TestCandidates_ServerNamesDisambiguate(t *testing.T) {
	testenv.Recorded(t, "DNS names that are looked up at the same time are distinguished by TLS server name or HTTP Host")
	enterNetns(t)
	r, s := newRig(t, Sizes{}), newResolver(t)
	to := drain(t, "tcp4", netnsAddr4) // not the address of the resolver
	answers, payloads := make(map[string][]byte), make(map[string][]byte)
	for _, name := range []string{"a", "b", "c"} {
		answers[name] = message(t, name+".test.", name+".test. A "+to.Addr().String())
		payloads[name] = records(handshake(serverName(name+".test")), 1<<14)
	}
	payloads["request"] = []byte("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n")
	payloads["neither"] = []byte("neither")
	for i, step := range []struct {
		reason  string
		answers string
		sends   string // payloads, each on a connection of its own
		want    []string
	}{
		{"one question", "a", "a", []string{"tls a.test x1, match"}},
		{"the same again is only counted", "a", "a", nil},
		{"two questions", "b c", "c request", []string{"http b.test x1, match", "tls c.test x1, match"}},
		{"more connections than questions", "", "b", []string{"tls b.test x1"}},
		{"two questions again, one client without a name", "a b", "b neither",
			[]string{"nothing  x1, match", "tls b.test x1, match"}},
		{"two questions, both connections after the second", "c a", "a a", []string{"tls a.test x2, match"}},
		// There were as many connections as questions. But lookups are shared: this connection may still be for one of
		// those.
		{"one question, shortly after others", "b", "c", []string{"tls c.test x1, match"}},
		{"the same name for two questions", "b b", "b b", []string{"tls b.test x2, match"}},
	} {
		r.clear()
		for _, name := range strings.Fields(step.answers) {
			s.answer(answers[name])
		}
		for _, name := range strings.Fields(step.sends) {
			sendPayload(t, to, payloads[name])
		}
		if diff := cmp.Diff(step.want, r.serverNames()); diff != "" {
			t.Errorf("step %d, %s: names (-want +got):\n%s", i, step.reason, diff)
		}
	}
	r.mustLoseNothing()
}
