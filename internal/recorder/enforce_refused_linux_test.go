package recorder

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/dns"
	"github.com/netzero-dev/netzero/internal/endpoint"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/session"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// refusalCounts are the kernel's counts: of flows by their port, and of questions for a name by their recording.
type refusalCounts struct {
	flows     map[uint16]uint64
	questions map[goroutine.ID]map[string]uint64
	err       error
}

func (c refusalCounts) Refused(k probe.Key) (uint64, error) { return c.flows[k.Port], c.err }

func (c refusalCounts) RefusedQuestions(_ uint64, recording goroutine.ID, hash uint64) (uint64, error) {
	for name, n := range c.questions[recording] {
		if dns.Hash(name) == hash {
			return n, c.err
		}
	}
	return 0, c.err
}

func TestRefused_Flows(t *testing.T) {
	observed := func(port uint16, count uint64, sent ...string) observation {
		return observation{
			event: &probe.FlowEvent{Key: probe.Key{Port: port}}, sentNames: sent, flow: flow.Flow{Count: count},
		}
	}
	s := &snapshot{observed: []observation{
		observed(443, 3), observed(443, 2), observed(443, 4, "api.example.com"), observed(80, 5),
	}}
	if err := s.countRefused(refusalCounts{flows: map[uint16]uint64{443: 3}}); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, o := range s.observed {
		got = append(got, o.flow.Refused)
	}
	// Of several candidates none has more than its own attempts. A client that sent a name was not refused.
	if diff := cmp.Diff([]uint64{3, 2, 0, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := s.countRefused(refusalCounts{err: errKernel}); !errors.Is(err, errKernel) {
		t.Errorf("an error of the kernel: %v", err)
	}
}

// A resolver queries several forms of one name, and tasks of several recordings may look it up.
func TestRefused_Lookups(t *testing.T) {
	r := &Recorder{session: &session.Session{Leaf: &cgroup.Leaf{ID: 1}}}
	r.containers = newContainerState(func() {}, func() {})
	rec := newRecording(r, Options{}, endpoint.Peers{})
	r.attribution.recordings = []*Recording{rec}
	for i, name := range strings.Fields("api.test api.test.corp.test api.test other.test") {
		key := probe.Key{Cgroup: 1, Recording: goroutine.ID(i % 2)}
		r.recordLookup(&probe.FlowEvent{Time: time.Duration(i), Key: key}, name)
	}
	for _, l := range rec.lookups {
		l.search = endpoint.Search{Domains: []string{"corp.test"}, Dots: 1}
	}
	s := rec.snapshot()
	err := s.countRefused(refusalCounts{questions: map[goroutine.ID]map[string]uint64{
		0: {"api.test": 2}, 1: {"api.test.corp.test": 1, "api.test": 9},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]uint64)
	for _, f := range (&resolution{snapshot: s}).failedLookups() {
		if got[f.flow.Target()] = f.flow.Refused; f.flow.Count != max(1, f.flow.Refused) {
			t.Errorf("%s: %d of %d are refused", f.flow.Target(), f.flow.Refused, f.flow.Count)
		}
	}
	if diff := cmp.Diff(map[string]uint64{"api.test:*": 3, "other.test:*": 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
