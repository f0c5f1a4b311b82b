//go:build amd64 || arm64

package goroutine

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func layoutOf(t *testing.T) Layout {
	t.Helper()
	l, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFind_Repeated(t *testing.T) {
	want := layoutOf(t)
	t.Logf("%+v", want)
	if want.M == 0 || want.Current == 0 {
		t.Error("what a thread runs while it is in C was not found")
	}
	var wait sync.WaitGroup
	defer wait.Wait()
	stop := make(chan struct{})
	defer close(stop)
	for range 8 { // so that goroutines move between threads
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					runtime.Gosched()
				}
			}
		})
	}
	for range 20 {
		got, err := find()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("found again (-first +then):\n%s", diff)
		}
	}
}

// seen is the calling goroutine's label as another thread would read it.
func seen(l Layout) string {
	labels, _ := l.current()
	for _, label := range labels {
		if label.keyAddress == l.Key && label.key == Key {
			return label.value
		}
	}
	return ""
}

func TestMark_InheritedAndRemoved(t *testing.T) {
	l := layoutOf(t)
	outer, inner := NewID(), NewID()
	if outer == inner {
		t.Fatal("two IDs are one")
	}
	unmarkOuter := Mark(outer)
	unmarkInner := Mark(inner)
	started := make(chan string)
	go func() { started <- seen(l) }()
	if got := <-started; got != inner.String() {
		t.Errorf("a goroutine that was started has %q, want %q", got, inner)
	}
	if got := unmarkInner(); got != outer {
		t.Errorf("the inner one gives back %q, want %q", got, outer)
	}
	if got := seen(l); got != outer.String() {
		t.Errorf("after the inner recording: %q, want %q", got, outer)
	}
	unmarkInner() // its label is gone already
	if got := seen(l); got != outer.String() {
		t.Errorf("after the inner recording once more: %q, want %q", got, outer)
	}
	if got := unmarkOuter(); got != 0 {
		t.Errorf("the outer one gives back %q", got)
	}
	if got, _ := l.current(); len(got) != 0 {
		t.Errorf("after all: %v", got)
	}
}

func TestMark_KeepsOtherLabels(t *testing.T) {
	l := layoutOf(t)
	pprof.Do(context.Background(), pprof.Labels("request", "7", "zone", "b"), func(ctx context.Context) {
		unmark := Mark(NewID())
		if got, _ := l.current(); len(got) != 3 || seen(l) == "" {
			t.Errorf("with the mark: %+v", got)
		}
		unmark()
		got, _ := l.current()
		if len(got) != 2 || got[0].key+got[0].value+got[1].key+got[1].value != "request7zoneb" {
			t.Errorf("afterwards: %+v", got)
		}
	})
}

func TestMark_ProgramAddsLabels(t *testing.T) {
	l := layoutOf(t)
	id := NewID()
	defer Mark(id)()
	set([]label{{key: "aa", value: "before"}, {key: Key, value: id.String()}, {key: "zz", value: "after"}})
	if got := seen(l); got != id.String() {
		t.Errorf("got %q, want %q", got, id)
	}
}

//go:noinline
func callers(pcs []uintptr) int { return inlined(pcs) }

func inlined(pcs []uintptr) int { return deeper(pcs) }

func deeper(pcs []uintptr) int { return runtime.Callers(1, pcs) }

// physical returns the return addresses that frame pointers have: one for everything inlined into a function.
func physical(pcs []uintptr) []uintptr {
	var last uintptr
	var found []uintptr
	for _, pc := range pcs {
		if entry := runtime.FuncForPC(pc - 1).Entry(); entry != last {
			found, last = append(found, pc), entry
		}
	}
	return found
}

func TestFrames_Inlined(t *testing.T) {
	pcs := make([]uintptr, 16)
	pcs = pcs[:callers(pcs)]
	var all []string
	for _, f := range Frames(physical(pcs)) {
		all = append(all, f.Function[strings.LastIndex(f.Function, ".")+1:])
	}
	if got := strings.Join(all, " "); !strings.HasPrefix(got, "deeper inlined callers TestFrames_Inlined ") {
		t.Errorf("got %s", got)
	}
	if len(physical(pcs)) >= len(pcs) {
		t.Error("nothing was inlined: the test shows nothing")
	}
}

func TestMark_UnreadableLabelsStay(t *testing.T) {
	layoutOf(t)
	many := make([]string, 0, 2*(maxLabels+1))
	for i := range maxLabels + 1 {
		many = append(many, fmt.Sprintf("key%d", i), "value")
	}
	for reason, labels := range map[string][]string{
		"more than are read":   many,
		"longer than are read": {"long", strings.Repeat("x", maxText+1), "key0", "value"},
	} {
		pprof.Do(t.Context(), pprof.Labels(labels...), func(context.Context) {
			unmark := Mark(NewID())
			defer unmark()
			var profile bytes.Buffer
			if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(labels); i += 2 {
				if want := fmt.Sprintf("%q:%q", labels[i], labels[i+1]); !strings.Contains(profile.String(), want) {
					t.Errorf("%s: the label %.40s is gone", reason, want)
					return
				}
			}
		})
	}
}

// A word that is no frame pointer may have any value.
func TestWalk_AnyWord(t *testing.T) {
	const begin = 1 << 20
	for _, word := range []uint64{0, 1, 8, begin - 8, begin + 8, begin + 16, begin + 24, 1 << 63, ^uint64(0), ^uint64(7)} {
		for n := range 5 {
			stack := words{word, 5, word, 6}[:min(n, 4)]
			for _, bp := range []uint64{word, begin} {
				walk(1, bp, begin, stack)
			}
		}
	}
	if chain := walk(1, begin, begin, words{begin + 16, 5, 0, 6}); !slices.Equal(chain, []uintptr{1, 5, 6}) {
		t.Errorf("chain %v, want 1, 5 and 6", chain)
	}
}
