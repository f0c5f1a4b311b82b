package probe

import (
	"context"
	"net"
	"reflect"
	"runtime/pprof"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/goroutine"
)

// The kernel unmaps memory while it collapses it into a huge page. Then a flow could sometimes not be attributed.
func TestHugePages_DisabledWhileGoroutinesAreRead(t *testing.T) {
	disabled := func() int {
		t.Helper()
		n, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0)
		check(t, err)
		return n
	}
	before := disabled()
	t.Run("recorded", func(t *testing.T) {
		newAttributionRig(t)
		t.Run("twice", func(t *testing.T) {
			newAttributionRig(t)
		})
		if disabled() == 0 {
			t.Error("huge pages are enabled although a probe reads goroutines")
		}
	})
	if got := disabled(); got != before {
		t.Errorf("huge pages are disabled: %d, want %d as before", got, before)
	}
}

func TestAttribution_UnreadableGoroutine(t *testing.T) {
	r := newAttributionRig(t)
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	check(t, err)
	t.Cleanup(func() { check(t, unix.Munmap(page)) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		pprof.SetGoroutineLabels(labelsAt{context.Background(), unsafe.Pointer(unsafe.SliceData(page))})
		net.Dial("tcp", "127.1.0.1:9")
		pprof.SetGoroutineLabels(context.Background())
		net.Dial("tcp", "127.1.0.2:9")
	}()
	<-done
	r.mustBeAttributed("TCP 127.1.0.1:9", goroutine.Unread)
	r.mustBeAttributed("TCP 127.1.0.2:9", 0)
}

// labelsAt is a context with goroutine labels at a given address.
type labelsAt struct {
	context.Context
	at unsafe.Pointer
}

func (l labelsAt) Value(key any) any {
	real := pprof.WithLabels(l.Context, pprof.Labels("a", "b")).Value(key)
	return reflect.NewAt(reflect.TypeOf(real).Elem(), l.at).Interface()
}
