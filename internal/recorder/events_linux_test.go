package recorder

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestAnswers_Truncated(t *testing.T) {
	answer, question := []byte{0, 1, 0x81, 0x80, 0, 1}, []byte{0, 1, 1, 0, 0, 1}
	for _, row := range []struct {
		reason string
		event  probe.DNSEvent
		fails  bool
	}{
		{"a truncated answer", probe.DNSEvent{Protocol: flow.UDP, Payload: answer, Cut: 1}, true},
		{"a complete answer", probe.DNSEvent{Protocol: flow.UDP, Payload: answer}, false},
		{"not an answer", probe.DNSEvent{Protocol: flow.UDP, Payload: question, Cut: 1}, false},
		{"nothing", probe.DNSEvent{Protocol: flow.UDP, Cut: 1}, false},
	} {
		r := &Recorder{}
		r.handleAnswer(&row.event, nil)
		if (r.failure != nil) != row.fails {
			t.Errorf("%s: the recording's failure is %v", row.reason, r.failure)
		}
	}
}

// Events may arrive before the session is open, also those of unrelated cgroups.
func TestEvents_BeforeSession(t *testing.T) {
	r := &Recorder{containers: newContainerState(func() {}, func() {})}
	created := &probe.CgroupEvent{Cgroup: 1 << 60, Names: []string{"build", "ci"}}
	r.handle([]probe.Event{created})
	if len(r.early) != 1 || r.early[0] != created {
		t.Errorf("kept %v", r.early)
	}
}
