package recorder

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
)

// A resolver queries all forms of a name without an address, in an order that depends on the dots in the name.
func TestFailedLookup_WrittenName(t *testing.T) {
	search := endpoint.Search{Domains: []string{"svc.cluster.test", "cluster.test"}, Dots: 2}
	for _, row := range []struct {
		reason  string
		queries string // "!" after a name: it has an address
		want    string
	}{
		{"every form", "db.svc.cluster.test db.cluster.test db", "db:*"},
		{"every form of a name with dots", "a.b.test a.b.test.svc.cluster.test a.b.test.cluster.test", "a.b.test:*"},
		{"a resolver that gives up early", "db.svc.cluster.test", "db:*"},
		{"the same after the second form", "db.svc.cluster.test db.cluster.test", "db:*"},
		{"the first form has an address", "db.svc.cluster.test!", ""},
		{"the last form has", "db.svc.cluster.test db.cluster.test db!", ""},
		{"one in between has", "db.svc.cluster.test db.cluster.test! db", ""},
		{"a complete name of the domain", "a.b.cluster.test a.b.cluster.test.svc.cluster.test", "a.b.cluster.test:*"},
		{"a complete name with as many dots", "a.b.c.cluster.test", "a.b.c.cluster.test:*"},
		{"two names", "db.svc.cluster.test db.cluster.test db web.svc.cluster.test web.cluster.test web!", "db:*"},
		{"a name that only begins alike has an address", "vendor.test vendor.test.example.test!", "vendor.test:*"},
		{
			"names that never mean a host",
			"invalid a.invalid localhost b.localhost localhost.svc.cluster.test 1.2.0.192.in-addr.arpa 1.ip6.arpa",
			"",
		},
		{"names that only end alike", "notinvalid.test xinvalid mylocalhost", "mylocalhost:* notinvalid.test:* xinvalid:*"},
	} {
		r := &Recorder{session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}}
		r.containers = newContainerState(func() {}, func() {})
		rec := &Recording{recorder: r, identifier: endpoint.New(endpoint.Config{}), lookups: make(map[lookupKey]*lookup)}
		for i, word := range strings.Fields(row.queries) {
			name, answered := strings.CutSuffix(word, "!")
			rec.lookups[lookupKey{1, name}] = &lookup{
				event:  &probe.FlowEvent{Time: time.Duration(i)},
				search: search, answered: answered,
			}
			rec.lookups[lookupKey{2, name}] = &lookup{answered: true} // another cgroup makes no difference
		}
		var got []string
		for _, l := range (&resolution{snapshot: rec.snapshot()}).failedLookups() {
			got = append(got, l.flow.Target())
		}
		slices.Sort(got)
		if diff := cmp.Diff(row.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", row.reason, diff)
		}
	}
}

// A program may look a name up and end at once. The other processes of its container show the search domains.
func TestFailedLookup_SearchDomainsOfEndedProcess(t *testing.T) {
	const waits = "NETZERO_TEST_WAITS"
	if os.Getenv(waits) != "" {
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	r := startRecorder(t)
	dir := filepath.Join(filepath.Dir(r.session.Leaf.Path), fmt.Sprintf("netzerotest-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	id, err := cgroup.ID(dir)
	if err != nil {
		t.Fatal(err)
	}
	rec := &Recording{identifier: endpoint.New(endpoint.Config{})}
	search := func() (endpoint.Search, bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.searchDomainsOf(rec, &probe.FlowEvent{Key: probe.Key{Cgroup: id}})
	}
	if search, known := search(); known {
		t.Errorf("an empty cgroup has %+v", search)
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	other := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	other.Env = append(os.Environ(), waits+"=1")
	other.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(f.Fd())}
	in, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	want, _ := rec.identifier.Search(other.Process.Pid)
	for _, when := range []string{"while another process runs", "when all have ended"} {
		got, known := search()
		if diff := cmp.Diff(want, got); diff != "" || !known {
			t.Errorf("%s: known=%t (-want +got):\n%s", when, known, diff)
		}
		in.Close()
		_ = other.Wait()
	}
}

func TestFailedLookup_TableFull(t *testing.T) {
	rec := &Recording{recorder: &Recorder{}, lookups: make(map[lookupKey]*lookup)}
	const over = 3
	for i := range maxLookups + over {
		rec.lookupOf(lookupKey{uint64(i), "a.test"})
	}
	rec.lookupOf(lookupKey{0, "a.test"})
	if len(rec.lookups) != maxLookups || rec.recorder.droppedLookups != over {
		t.Errorf("%d kept, %d dropped", len(rec.lookups), rec.recorder.droppedLookups)
	}
}

func TestFailedLookup_FormsOfOneName(t *testing.T) {
	for _, row := range []struct {
		reason string
		a, b   string
		want   bool
	}{
		{"completed with a domain and with its parent", "db.shop.shop.svc.cluster.local", "db.shop.svc.cluster.local", true},
		{"the other way round", "db.shop.svc.cluster.local", "db.shop.shop.svc.cluster.local", true},
		{"hosts of two domains", "api.gone.test", "api.pay.test", false},
		{"hosts of one domain", "a.pay.test", "b.pay.test", false},
		{"names that begin alike", "api.pay.test", "api2.pay.test", false},
	} {
		if got := areForms(row.a, row.b); got != row.want {
			t.Errorf("%s: %s and %s: %t", row.reason, row.a, row.b, got)
		}
	}
}
