package probe

import (
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/bpf"
)

func TestCgroupNames_Truncated(t *testing.T) {
	for _, row := range []struct {
		reason string
		length int
		names  int
		cut    bool
	}{
		{"a short path", 20, 3, false},
		{"the maximum number of names", 20, len(bpf.RecordCgroupEvent{}.Names), true},
		{"the longest name that fits", len(bpf.RecordCgroupEvent{}.Names[0]) - 2, 1, false},
		{"a name that fills its array", len(bpf.RecordCgroupEvent{}.Names[0]) - 1, 1, true},
	} {
		var e bpf.RecordCgroupEvent
		for i := range row.names {
			copy(e.Names[i][:], strings.Repeat("x", row.length))
		}
		if got := cgroupEventOf(&e); got.Cut != row.cut || len(got.Names) != row.names {
			t.Errorf("%s: %d names, cut: %v", row.reason, len(got.Names), got.Cut)
		}
	}
}
