//go:build amd64 || arm64

package goroutine

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netzero-dev/netzero/netzerotest/flow"
)

func TestTraces_SameAsRuntime(t *testing.T) {
	got := parseTraces(`goroutine 7 [select, 2 minutes]:
net/http.(*Transport).getConn(0xc000, {0x1, 0x2}, 0x3)
	/go/src/net/http/transport.go:1512 +0x5d3
example.com/shop.Generic[...](...)
	/src/shop/shop.go:9
...additional frames elided...
created by example.com/shop.(*Pool).start.func1 in goroutine 1
	/src/shop/pool.go:33 +0x1c

goroutine 1 [running, locked to thread]:
main.main()
	/src/shop/main.go:3 +0x1

garbage
`)
	want := map[uint64]trace{
		7: {
			frames: []flow.Frame{
				{Function: "net/http.(*Transport).getConn", File: "/go/src/net/http/transport.go", Line: 1512},
				{Function: "example.com/shop.Generic[...]", File: "/src/shop/shop.go", Line: 9},
			},
			creator: flow.Frame{Function: "example.com/shop.(*Pool).start.func1", File: "/src/shop/pool.go", Line: 33,
				Started: true},
			parent: 1,
		},
		1: {frames: []flow.Frame{{Function: "main.main", File: "/src/shop/main.go", Line: 3}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(trace{})); diff != "" {
		t.Errorf("goroutines (-want +got):\n%s", diff)
	}
}

func TestTrace_RunningGoroutines(t *testing.T) {
	all, cut := traces(maxDump)
	if cut {
		t.Error("goroutines are missing")
	}
	found := all[Current()]
	if !slices.ContainsFunc(found.frames, func(f flow.Frame) bool {
		return strings.HasSuffix(f.Function, ".TestTrace_RunningGoroutines")
	}) {
		t.Errorf("this one has the calls %v", found.frames)
	}
	if found.creator.Function != "testing.(*T).Run" || found.parent == 0 {
		t.Errorf("it was created by %+v in %d", found.creator, found.parent)
	}
}

// inStrings returns a return address in package strings.
func inStrings() (address uintptr) {
	_ = strings.Map(func(r rune) rune {
		pcs := make([]uintptr, 1)
		runtime.Callers(2, pcs)
		address = pcs[0]
		return r
	}, "x")
	return address
}

func TestTrace_WaitingCaller(t *testing.T) {
	library := flow.Frame{Function: "strings.wait", File: "strings.go", Line: 1}
	other := flow.Frame{Function: "net.wait", File: "net.go", Line: 1}
	user := flow.Frame{Function: Module() + "/shop.Pay", File: "shop.go", Line: 1}
	goes := flow.Frame{Function: "strings.start", File: "strings.go", Line: 2, Started: true}
	gone := flow.Frame{Function: "net.start", File: "net.go", Line: 2, Started: true}
	for _, row := range []struct {
		reason string
		all    map[uint64]trace
		want   []flow.Frame // after the go statement
		ended  bool         // the goroutine itself
	}{
		{
			reason: "it waits in the package that started the goroutine",
			all:    map[uint64]trace{6: {}, 7: {frames: []flow.Frame{library, user}}},
			want:   []flow.Frame{library, user},
		},
		{
			reason: "it still does though the goroutine has ended",
			all:    map[uint64]trace{7: {frames: []flow.Frame{library, user}}},
			want:   []flow.Frame{library, user},
			ended:  true,
		},
		{
			reason: "many wait for each other",
			all: map[uint64]trace{
				6:  {},
				7:  {frames: []flow.Frame{library}, creator: goes, parent: 8},
				8:  {frames: []flow.Frame{library}, creator: goes, parent: 9},
				9:  {frames: []flow.Frame{library}, creator: goes, parent: 10},
				10: {frames: []flow.Frame{library}, creator: goes, parent: 11},
				11: {frames: []flow.Frame{library}, creator: goes, parent: 12},
				12: {frames: []flow.Frame{library, user}},
			},
			want: []flow.Frame{library, goes, library, goes, library, goes, library, goes, library, goes, library,
				user},
		},
		{
			reason: "only the main module's call waits in the package, in another goroutine than that which started it",
			all: map[uint64]trace{6: {}, 8: {frames: []flow.Frame{library, user}},
				9: {frames: []flow.Frame{other, user}}},
			want:  []flow.Frame{library, user},
			ended: true,
		},
		{
			reason: "two calls of the main module wait in the package",
			all: map[uint64]trace{6: {}, 8: {frames: []flow.Frame{library, user}},
				9: {frames: []flow.Frame{library, user}}},
		},
		{
			reason: "the main module's call serves others",
			all: map[uint64]trace{6: {}, 8: {
				frames: []flow.Frame{library, {Function: "strings.(*Server).Serve"}, user}}},
		},
		{reason: "it has gone", all: map[uint64]trace{6: {}}},
		{reason: "it does something else", all: map[uint64]trace{6: {},
			7: {frames: []flow.Frame{other, user, library}}}},
		{
			reason: "another one waits for it",
			all: map[uint64]trace{6: {}, 7: {frames: []flow.Frame{library}, creator: goes, parent: 8},
				8: {frames: []flow.Frame{library, user}}},
			want: []flow.Frame{library, goes, library, user},
		},
		{
			reason: "nobody waits for it",
			all: map[uint64]trace{6: {}, 7: {frames: []flow.Frame{library}, creator: gone, parent: 8},
				8: {frames: []flow.Frame{library, user}}},
			want: []flow.Frame{library, gone},
		},
	} {
		tracer := Tracer{all: row.all, taken: time.Hour}
		got := tracer.Trace(Stack{Time: time.Hour, Goroutine: 6, Parent: 7, Creator: inStrings()})
		if len(got) == 0 || got[0].Function != "strings.Map" || !got[0].Started || got[0].Ended != row.ended {
			t.Fatalf("%s: got %v", row.reason, got)
		}
		if diff := cmp.Diff(row.want, got[1:], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// gRPC dials in a goroutine that its client's first goroutine starts, and the caller waits for the client.
func TestTrace_LibraryOfSeveralPackages(t *testing.T) {
	const grpc = "google.golang.org/grpc"
	dials := flow.Frame{Function: grpc + ".(*acBalancerWrapper).Connect", Started: true}
	serializer := flow.Frame{Function: grpc + "/internal/grpcsync.(*CallbackSerializer).run"}
	made := flow.Frame{Function: grpc + "/internal/grpcsync.NewCallbackSerializer", Started: true}
	invoke := flow.Frame{Function: grpc + ".(*ClientConn).Invoke"}
	user := flow.Frame{Function: Module() + "/shop.Pay", File: "shop.go", Line: 1}
	tracer := Tracer{all: map[uint64]trace{
		6: {},
		7: {frames: []flow.Frame{serializer}, creator: made, parent: 8},
		8: {frames: []flow.Frame{{Function: "runtime.gopark"}, invoke, user}},
	}, taken: time.Hour}
	got := tracer.follow([]flow.Frame{dials}, 7)
	want := []flow.Frame{dials, serializer, made, {Function: "runtime.gopark"}, invoke, user}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for path, want := range map[string]string{
		grpc + "/internal/transport": grpc, grpc: grpc, "github.com/jackc/pgx/v5/pgconn": "github.com/jackc/pgx",
		"golang.org/x/net/http2": "golang.org/x/net",
		"net/http":               "net/http", "net": "net", "gopkg.in/yaml.v3": "gopkg.in/yaml.v3",
	} {
		if got := library(path); got != want {
			t.Errorf("%s is of the library %q, want %q", path, got, want)
		}
	}
}

func TestTrace_CutDumpIsNotEnded(t *testing.T) {
	wait, done := make(chan struct{}), make(chan struct{})
	defer func() { close(wait); <-done }()
	go func() {
		defer close(done)
		<-wait
	}()
	const limit = 1 << 10
	all, cut := traces(limit)
	if !cut || len(all) >= runtime.NumGoroutine() {
		t.Fatalf("within %d bytes: %d goroutines of %d, cut: %v", limit, len(all), runtime.NumGoroutine(), cut)
	}
	tracer := Tracer{all: all, cut: cut, taken: time.Hour}
	if got := tracer.Trace(Stack{Time: time.Hour, Goroutine: 1 << 40, Parent: 1 << 41,
		Creator: inStrings()}); got[0].Ended {
		t.Errorf("one that may be missing is said to have ended: %v", got)
	}
}

// Calls beyond the cut may be the program's own.
func TestTrace_CutStackHasNoOrigin(t *testing.T) {
	tracer := Tracer{all: map[uint64]trace{6: {}}, taken: time.Hour}
	stack := Stack{Time: time.Hour, Goroutine: 6, Parent: 7, Creator: inStrings(), Addresses: []uintptr{inStrings()},
		Cut: true}
	for _, f := range tracer.Trace(stack) {
		if f.Started {
			t.Errorf("it was started at %v", f)
		}
	}
}

func TestTracer_LimitsStops(t *testing.T) {
	var tracer Tracer
	if !tracer.refresh(monotonic()) || len(tracer.all) == 0 {
		t.Fatal("the first look is refused")
	}
	before := tracer.taken
	if !tracer.refresh(before) || tracer.taken != before {
		t.Error("what was before the look needs another one")
	}
	if !tracer.refresh(monotonic()) || tracer.taken == before {
		t.Error("what came later needs no other look")
	}
	tracer.budget = -time.Hour
	if tracer.refresh(monotonic()) {
		t.Error("looks are not bounded")
	}
}

func TestTracer_KnownCallerNeedsNoRead(t *testing.T) {
	pcs := make([]uintptr, 16)
	own := Stack{Parent: 7, Creator: inStrings(), Addresses: pcs[:runtime.Callers(1, pcs)]}
	tracer := Tracer{}
	got := tracer.Trace(own)
	if last := got[len(got)-1]; tracer.all != nil || last.Started {
		t.Errorf("got %v, after a look at %d goroutines", got, len(tracer.all))
	}
	if tracer.Trace(Stack{Parent: 7, Creator: inStrings()}); tracer.all == nil {
		t.Error("where it is not known nobody is looked for")
	}
}
