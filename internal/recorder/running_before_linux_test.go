package recorder

import (
	"testing"

	"github.com/netzero-dev/netzero/internal/docker"
)

func TestOlderContainers_RanBefore(t *testing.T) {
	s := &resolution{snapshot: snapshot{started: 10}, owned: map[string]bool{"own": true}}
	for _, row := range []struct {
		reason    string
		container docker.Container
		want      bool
	}{
		{"it runs", docker.Container{ID: "a", Started: 5}, true},
		{"it ended during the recording", docker.Container{ID: "a", Started: 5, Ended: 12}, true},
		{"it ended before", docker.Container{ID: "a", Started: 5, Ended: 8}, false},
		{"it ended at once, before the engine set when it started", docker.Container{ID: "a", Started: 5, Ended: 4}, false},
		{"it started during the recording", docker.Container{ID: "a", Started: 11}, false},
		{"it never started", docker.Container{ID: "a"}, false},
		{"it is this recording's", docker.Container{ID: "own", Started: 5}, false},
	} {
		if got := s.ranBefore(row.container); got != row.want {
			t.Errorf("%s: %t, want %t", row.reason, got, row.want)
		}
	}
}
