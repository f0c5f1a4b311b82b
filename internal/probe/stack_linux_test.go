package probe

import (
	"net"
	"strings"
	"testing"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
)

//go:noinline
func outermost(network, address string) { middle(network, address) }

//go:noinline
func middle(network, address string) { inlined(network, address) }

func inlined(network, address string) { dialAndSend(network, address) }

func dialAndSend(network, address string) {
	if c, err := net.Dial(network, address); err == nil {
		c.Write([]byte("x"))
		c.Close()
	}
}

func TestStacks_FromSystemCallOutward(t *testing.T) {
	testenv.Recorded(t, "the Go source line that opened a flow")
	r := newAttributionRig(t)
	for _, network := range []string{"tcp", "udp"} {
		r.clear()
		outermost(network, "127.0.0.1:1")
		events := seen[*FlowEvent](r)
		if len(events) != 1 || events[0].Stack == nil {
			t.Fatalf("%s: got %+v, want one flow with a stack", network, events)
		}
		stack := events[0].Stack
		var names []string
		for _, f := range goroutine.Frames(stack.Addresses) {
			names = append(names, f.Function[strings.LastIndex(f.Function, "/")+1:])
		}
		text := strings.Join(names, " ")
		if !strings.HasPrefix(text, "syscall.Syscall syscall.connect ") ||
			!strings.Contains(text, " probe.inlined probe.middle probe.outermost "+
				"probe.TestStacks_FromSystemCallOutward testing.tRunner") {
			t.Errorf("%s: got %s", network, text)
		}
		if stack.Goroutine != goroutine.Current() {
			t.Errorf("%s: of goroutine %d, want %d", network, stack.Goroutine, goroutine.Current())
		}
		creator := goroutine.Frames([]uintptr{stack.Creator})
		if len(creator) == 0 || creator[0].Function != "testing.(*T).Run" {
			t.Errorf("%s: created by %v", network, creator)
		}
	}
}

// The state of a waiting goroutine is only known while it waits.
func TestStacks_FlowDeliveredAtOnce(t *testing.T) {
	r := newAttributionRig(t)
	r.clear()
	for i, network := range []string{"tcp", "udp"} {
		dialAndSend(network, "127.0.0.1:1")
		eventually(t, "a flow without a Sync", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.events) == i+1
		})
	}
}

func TestStacks_NoneForRepeatsAndChildren(t *testing.T) {
	r := newAttributionRig(t)
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	check(t, r.Sync())
	before := len(r.stacks.byKey) // from Check
	check(t, descendant("tcp "+to).Run())
	if events := seen[*FlowEvent](r); len(events) != 1 || events[0].Stack != nil {
		t.Errorf("flows of a child: %+v", events)
	}
	for range 3 {
		dialAndSend("tcp", to)
	}
	check(t, r.Sync())
	if n := len(r.stacks.byKey); n != before {
		t.Errorf("%d stacks remain, %d before", n, before)
	}
}
