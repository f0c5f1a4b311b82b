package probe

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netzero-dev/netzero/internal/cgroup"
	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
	"github.com/netzero-dev/netzero/netzerotest/flow"
)

// newTrackingRig is a rig that tracks new cgroups, also those of other programs on this machine, which tests filter out
// by cgroup. Child processes stand in for unrelated processes.
func newTrackingRig(t *testing.T, sizes Sizes) *rig {
	t.Helper()
	r := newRig(t, sizes)
	r.untrackDescendants()
	check(t, r.TrackNewCgroups(r.leaf.ID))
	return r
}

// flowsOf returns the flow events of one cgroup as text, sorted.
func (r *rig) flowsOf(cgroup uint64) []string {
	r.t.Helper()
	var lines []string
	for _, e := range seen[*FlowEvent](r) {
		if e.Cgroup == cgroup {
			lines = append(lines, fmt.Sprintf("%s %s", e.Protocol, netip.AddrPortFrom(e.Addr, e.Port+uint16(e.ICMPType))))
		}
	}
	slices.Sort(lines)
	return lines
}

// namesOf returns the names in each event of a cgroup.
func (r *rig) namesOf(cgroup uint64) [][]string {
	r.t.Helper()
	var names [][]string
	for _, e := range seen[*CgroupEvent](r) {
		if e.Cgroup == cgroup {
			names = append(names, e.Names)
		}
	}
	return names
}

// names returns the names that the kernel must report for a cgroup; nil if it reads no names.
func (r *rig) names(g group) []string {
	r.t.Helper()
	layout, err := taskLayout()
	check(r.t, err)
	if layout.NodeName == 0 || r.Unnamed() != "" {
		return nil
	}
	names := strings.Split(strings.TrimPrefix(g.dir, r.tree.Root+"/"), "/")
	slices.Reverse(names)
	return names[:min(len(names), 16)]
}

func TestNewCgroups_ShortLived(t *testing.T) {
	const capability = "containers: cgroups created during the recording, with their names"
	r := newTrackingRig(t, Sizes{})
	if r.Unnamed() == "" {
		testenv.Recorded(t, capability)
	} else {
		testenv.FallsBack(t, capability, "names from the cgroup tree, while the cgroups exist")
	}
	to := listen(t, "tcp4", "127.0.0.1:0")
	n := 100
	if testing.Short() { // on an emulated CPU a process takes a second
		n = 10
	}
	groups := make([]group, n)
	for i := range groups {
		groups[i] = r.sibling(fmt.Sprint(i))
		groups[i].run("tcp " + to.String())
		groups[i].remove()
	}
	for _, g := range groups {
		if diff := cmp.Diff([][]string{r.names(g)}, r.namesOf(g.id)); diff != "" {
			t.Errorf("names of %s (-want +got):\n%s", g.dir, diff)
		}
		if diff := cmp.Diff([]string{"TCP " + to.String()}, r.flowsOf(g.id)); diff != "" {
			t.Errorf("flows of %s (-want +got):\n%s", g.dir, diff)
		}
	}
	reported := make(map[uint64]bool)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		switch e := e.(type) {
		case *CgroupEvent:
			reported[e.Cgroup] = true
		case *FlowEvent:
			if e.Cgroup != r.leaf.ID && !reported[e.Cgroup] {
				t.Errorf("a flow of cgroup %d precedes the event of the cgroup", e.Cgroup)
			}
		}
	}
	r.mustLoseNothing()
}

func TestNewCgroups_CreationReports(t *testing.T) {
	r := newRig(t, Sizes{})
	before := r.sibling("before")
	check(t, r.Sync()) // its event is read, if there is one
	check(t, r.TrackNewCgroups(r.leaf.ID))
	g := r.sibling("created")
	nested := newGroup(t, filepath.Join(g.dir, "nested"))
	nested.remove()
	var want []string
	if r.names(g) != nil {
		want = []string{strings.TrimPrefix(g.dir, r.tree.Root), strings.TrimPrefix(nested.dir, r.tree.Root)}
	}
	if events := seen[*MkdirEvent](r); len(events) > 0 {
		t.Errorf("Handle got %v", events)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	parent := strings.TrimPrefix(filepath.Dir(before.dir), r.tree.Root)
	got := slices.DeleteFunc(slices.Clone(r.created), func(path string) bool { // those of other programs
		return !strings.HasPrefix(path, fmt.Sprintf("%s/probe-test-%d-", strings.TrimSuffix(parent, "/"), os.Getpid()))
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestNewCgroups_FirstEventReports(t *testing.T) {
	r := newTrackingRig(t, Sizes{})
	tcp := listen(t, "tcp4", "127.0.0.1:0").String()
	udp := silent(t, "udp4", "127.0.0.1:0").String()
	for _, row := range []struct {
		reason string
		acts   []string
		flows  []string
		twice  bool // reported, the first time without names
	}{
		{"names a destination", []string{"udp " + udp}, []string{"UDP " + udp}, false},
		{"connects a datagram socket", []string{"udp-connected " + udp}, []string{"UDP " + udp}, false},
		{"only listens", []string{"listen 127.0.0.1:0"}, nil, false},
		{"only listens, on IPv6", []string{"listen [::1]:0"}, nil, false},
		{"a packet without a task", []string{"ping 127.0.0.1"}, []string{"ICMP 127.0.0.1:8"}, false},
		{"a packet, then a task", []string{"ping 127.0.0.1", "tcp " + tcp}, []string{"ICMP 127.0.0.1:8", "TCP " + tcp}, true},
		{"the same flow again is not reported", []string{"tcp " + tcp, "tcp " + tcp}, []string{"TCP " + tcp}, false},
		{"the same packet again is not reported",
			[]string{"ping 127.0.0.1", "ping 127.0.0.1"}, []string{"ICMP 127.0.0.1:8"}, false},
	} {
		t.Run(row.reason, func(t *testing.T) {
			g := r.sibling("first")
			g.run(row.acts...)
			g.remove()
			names := r.names(g)
			want := [][]string{names}
			switch {
			case row.twice && names != nil:
				want = [][]string{nil, names}
			case strings.HasPrefix(row.acts[0], "ping"):
				want = [][]string{nil}
			}
			if diff := cmp.Diff(want, r.namesOf(g.id)); diff != "" {
				t.Errorf("reported (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.flows, r.flowsOf(g.id)); diff != "" {
				t.Errorf("flows (-want +got):\n%s", diff)
			}
			binds := slices.ContainsFunc(seen[*BindEvent](r), func(e *BindEvent) bool { return e.Cgroup == g.id })
			if binds != strings.HasPrefix(row.acts[0], "listen") {
				t.Errorf("a bind is reported: %t", binds)
			}
		})
	}
	t.Run("does nothing", func(t *testing.T) {
		g := r.sibling("idle")
		g.start("wait")()
		g.remove()
		if got := r.namesOf(g.id); got != nil {
			t.Errorf("reported %v", got)
		}
	})
	r.mustLoseNothing()
}

func TestNewCgroups_ReportedOnceWithoutNames(t *testing.T) {
	read := taskLayout
	taskLayout = func() (layout, error) { return layout{unnamed: "it is a test"}, nil }
	defer func() { taskLayout = read }()
	r := newTrackingRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	for name, acts := range map[string][]string{
		"task":   {"tcp " + to, "ping 127.0.0.1"},
		"packet": {"ping 127.0.0.1", "tcp " + to},
	} {
		g := r.sibling(name)
		g.run(acts...)
		g.remove()
		if diff := cmp.Diff([][]string{nil}, r.namesOf(g.id)); diff != "" {
			t.Errorf("seen by a %s first, reported (-want +got):\n%s", name, diff)
		}
		if got := r.flowsOf(g.id); len(got) != 2 {
			t.Errorf("seen by a %s first, flows are %v", name, got)
		}
	}
}

func TestNewCgroups_SeparateDNSNames(t *testing.T) {
	r := newTrackingRig(t, Sizes{})
	resolver := newResolver(t)
	to := listen(t, "tcp4", "127.0.0.9:0").String()
	answer := message(t, queriedName, queriedName+" A 127.0.0.9")
	go func() {
		if _, from, err := resolver.udp.ReadFrom(make([]byte, 100)); err == nil {
			resolver.udp.WriteTo(answer, from)
		}
	}()
	for _, row := range []struct {
		name    string
		acts    []string
		queries bool
	}{
		{"queries", []string{"ask " + resolverAddr, "tcp " + to}, true},
		{"does-not-query", []string{"tcp " + to}, false},
	} {
		g := r.sibling(row.name)
		g.run(row.acts...)
		g.remove()
		answered := slices.ContainsFunc(seen[*DNSEvent](r), func(e *DNSEvent) bool { return e.Cgroup == g.id })
		named := slices.ContainsFunc(seen[*FlowEvent](r), func(e *FlowEvent) bool {
			return e.Cgroup == g.id && e.Protocol == flow.TCP && e.Question() != 0
		})
		if answered != row.queries || named != row.queries {
			t.Errorf("%s: an answer is reported: %t, the flow is named: %t", row.name, answered, named)
		}
	}
}

// The sender on a raw socket need not be its creator.
func TestNewCgroups_SendOnForeignSocket(t *testing.T) {
	requireSender(t)
	r := newTrackingRig(t, Sizes{})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	check(t, err)
	socket := os.NewFile(uintptr(fd), "socket")
	defer socket.Close()
	g := r.sibling("given")
	cmd, done := g.command([]string{"reply 127.0.0.1"})
	defer done()
	cmd.ExtraFiles = []*os.File{socket}
	check(t, cmd.Run())
	g.remove()
	if diff := cmp.Diff([][]string{nil}, r.namesOf(g.id)); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ICMP 127.0.0.1:0"}, r.flowsOf(g.id)); diff != "" {
		t.Errorf("flows (-want +got):\n%s", diff)
	}
	if got := r.flowsOf(r.leaf.ID); got != nil {
		t.Errorf("flows of the socket's creator: %v", got)
	}
}

func TestNewCgroups_ReplyDoesNotTrack(t *testing.T) {
	r := newTrackingRig(t, Sizes{})
	g := r.sibling("answers")
	g.run("kernel")
	if names, flows := r.namesOf(g.id), r.flowsOf(g.id); names != nil || flows != nil {
		t.Errorf("reported %v, flows %v", names, flows)
	}
}

func TestNewCgroups_EarlierOneOutOfScope(t *testing.T) {
	testenv.Recorded(t, "containers: other cgroups from before the recording are out of scope")
	testenv.RequireRoot(t)
	dir := filepath.Join(currentCgroup(t), fmt.Sprintf("probe-test-%d-older", os.Getpid()))
	older := newGroup(t, dir)
	r := newTrackingRig(t, Sizes{})
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	older.run("tcp "+to, "ping 127.0.0.1", "udp 127.0.0.1:9", "listen 127.0.0.1:0")
	if names, flows := r.namesOf(older.id), r.flowsOf(older.id); names != nil || flows != nil {
		t.Errorf("reported %v, flows %v", names, flows)
	}
	nested := newGroup(t, filepath.Join(dir, "nested"))
	nested.run("tcp " + to)
	if diff := cmp.Diff([]string{"TCP " + to}, r.flowsOf(nested.id)); diff != "" {
		t.Errorf("a new cgroup nested in it: flows (-want +got):\n%s", diff)
	}
	nested.remove()
}

func TestNewCgroups_OffByDefault(t *testing.T) {
	r := newRig(t, Sizes{})
	g := r.sibling("untracked")
	g.run("tcp "+listen(t, "tcp4", "127.0.0.1:0").String(), "ping 127.0.0.1")
	if events := seen[*CgroupEvent](r); len(events) > 0 || r.flowsOf(g.id) != nil {
		t.Errorf("reported %+v, flows %v", events, r.flowsOf(g.id))
	}
	tree := r.tree
	p, err := Open(tree.Root, Sizes{}, Handler{Handle: func([]Event) {}})
	check(t, err)
	defer p.Close()
	if err := p.TrackNewCgroups(r.leaf.ID); err == nil {
		t.Error("TrackNewCgroups before Check is no error, but would track cgroups nested in the leaf")
	}
}

func TestNewCgroups_NestedOneIsSeparate(t *testing.T) {
	r := newTrackingRig(t, Sizes{})
	outer := r.sibling("outer")
	inner := newGroup(t, filepath.Join(outer.dir, "inner"))
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	outer.run("tcp " + to)
	inner.run("tcp " + to)
	inner.remove()
	for _, g := range []group{outer, inner} {
		if diff := cmp.Diff([][]string{r.names(g)}, r.namesOf(g.id)); diff != "" {
			t.Errorf("reported (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"TCP " + to}, r.flowsOf(g.id)); diff != "" {
			t.Errorf("flows of %s (-want +got):\n%s", g.dir, diff)
		}
	}
}

func TestNewCgroups_DeepPathTruncated(t *testing.T) {
	r := newTrackingRig(t, Sizes{})
	g := r.sibling("deep")
	for range 16 {
		g = newGroup(t, filepath.Join(g.dir, "deeper"))
	}
	g.run("tcp " + listen(t, "tcp4", "127.0.0.1:0").String())
	want := r.names(g)
	if diff := cmp.Diff([][]string{want}, r.namesOf(g.id)); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
	for _, e := range seen[*CgroupEvent](r) {
		if e.Cut != (len(want) > 0 && e.Cgroup == g.id) {
			t.Errorf("cut: %v, of %v", e.Cut, e.Names)
		}
	}
}

func TestNewCgroups_NestedInLeaf(t *testing.T) {
	r := newTrackingRig(t, Sizes{})
	nested := newGroup(t, filepath.Join(r.leaf.Path, "nested"))
	deep := newGroup(t, filepath.Join(nested.dir, "deep"))
	tcp := listen(t, "tcp4", "127.0.0.1:0").String()
	udp := silent(t, "udp4", "127.0.0.1:0").String()
	want := []string{"ICMP 127.0.0.1:8", "TCP " + tcp, "UDP " + udp}
	for _, g := range []group{nested, deep} {
		_, err := r.NextGeneration()
		check(t, err)
		r.clear()
		g.run("ping 127.0.0.1", "tcp "+tcp, "udp "+udp, "listen 127.0.0.1:0")
		if diff := cmp.Diff(want, r.flowsOf(r.leaf.ID)); diff != "" {
			t.Errorf("flows of the leaf by %s (-want +got):\n%s", g.dir, diff)
		}
		if got := r.namesOf(g.id); got != nil {
			t.Errorf("%s is reported as %v", g.dir, got)
		}
	}
	deep.remove()
}

func TestNewCgroups_IgnoredOneIsSilent(t *testing.T) {
	testenv.Recorded(t, "containers: unrelated cgroups are ignored")
	r := newTrackingRig(t, Sizes{})
	udp := silent(t, "udp4", "127.0.0.1:0").String()
	other := silent(t, "udp4", "127.0.0.1:0").String()
	answers := echo(t, "udp4", "127.0.0.1:0").String()
	g := r.sibling("unrelated")
	all := []string{
		"tcp 127.0.0.1:%d", "udp " + udp, "udp-connected " + udp, "udp " + other, "udp-connected " + answers,
		"ping 127.0.0.1", "listen 127.0.0.1:0",
	}
	acts := func() []string {
		acts := slices.Clone(all)
		acts[0] = "tcp " + listen(t, "tcp4", "127.0.0.1:0").String()
		return append(acts, "wait")
	}
	goOn := g.start(slices.Concat(acts(), acts(), acts())...)
	if got := r.flowsOf(g.id); len(got) != 5 {
		t.Fatalf("before Ignore, flows are %v, want 5", got)
	}
	check(t, r.Ignore(g.id))
	_, err := r.NextGeneration() // all flows would be new
	check(t, err)
	r.clear()
	goOn()
	flows, names := r.flowsOf(g.id), r.namesOf(g.id)
	binds := slices.ContainsFunc(seen[*BindEvent](r), func(e *BindEvent) bool { return e.Cgroup == g.id })
	if flows != nil || names != nil || binds {
		t.Errorf("after Ignore, flows are %v, reported %v, binds %t", flows, names, binds)
	}
	check(t, r.Watch(g.id))
	goOn()
	if got := r.flowsOf(g.id); len(got) != 5 {
		t.Errorf("after Watch, flows are %v, want 5", got)
	}
	goOn()
	untracked := r.sibling("untracked")
	check(t, r.Ignore(untracked.id))
	untracked.run("ping 127.0.0.1")
	if names, flows := r.namesOf(untracked.id), r.flowsOf(untracked.id); names != nil || flows != nil {
		t.Errorf("ignored before its first packet, reported %v, flows %v", names, flows)
	}
	r.mustLoseNothing()
}

func TestNewCgroups_MakeKnownFlowsNew(t *testing.T) {
	testenv.Recorded(t, "containers: flows to a reused address are reported again")
	r := newTrackingRig(t, Sizes{})
	tcp := listen(t, "tcp4", "127.0.0.1:0")
	udp := silent(t, "udp4", "127.0.0.1:0")
	old, err := net.Dial("udp4", udp.String()) // connected before the new cgroup, used after it
	check(t, err)
	defer old.Close()
	use := func() {
		t.Helper()
		for range 3 {
			c, err := net.Dial("tcp", tcp.String())
			check(t, err)
			c.Close()
			_, err = old.Write([]byte("x"))
			check(t, err)
		}
	}
	generations := func() map[flow.Protocol][]uint64 {
		generations := make(map[flow.Protocol][]uint64)
		for _, e := range seen[*FlowEvent](r) {
			if e.Cgroup == r.leaf.ID {
				generations[e.Protocol] = append(generations[e.Protocol], e.CgroupGeneration)
			}
		}
		return generations
	}
	use()
	before := generations()
	g := r.sibling("second")
	goOn := g.start("listen 127.0.0.1:0", "wait")
	r.clear()
	use()
	after := generations()
	for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
		all := slices.Concat(before[protocol], after[protocol])
		if len(before[protocol]) == 0 || len(after[protocol]) == 0 ||
			slices.Max(before[protocol]) >= slices.Max(after[protocol]) {
			t.Errorf("%s: cgroup generations are %v before, and %v after a new cgroup",
				protocol, before[protocol], after[protocol])
		}
		slices.Sort(all)
		if len(slices.Compact(slices.Clone(all))) != len(all) { // other new cgroups on this machine may add more
			t.Errorf("%s: the flow is new without a new cgroup: %v", protocol, all)
		}
	}
	goOn()
}

func TestLoss_CgroupTableFull(t *testing.T) {
	testenv.Recorded(t, "containers: cgroups are counted as lost if their table is full")
	const n, room = 8, 3 // one for the leaf
	r := newTrackingRig(t, Sizes{MaxCgroups: room})
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	tracked := 0
	for i := range n {
		g := r.sibling(fmt.Sprint(i))
		g.run("tcp " + to)
		reported, flows := len(r.namesOf(g.id)), len(r.flowsOf(g.id))
		if reported != flows {
			t.Errorf("cgroup %d is reported %d times, and has %d flows", i, reported, flows)
		}
		tracked += reported
		g.remove()
	}
	lost, err := r.Lost()
	check(t, err)
	if tracked >= room || lost.Cgroups < uint64(n-tracked) {
		t.Errorf("%d of %d tracked, lost %+v", tracked, n, lost)
	}
}

func TestLoss_RingFullForCgroup(t *testing.T) {
	r := newTrackingRig(t, Sizes{RingBytes: uint32(os.Getpagesize())})
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	func() {
		r.queue.mu.Lock() // the reader waits for it
		defer r.queue.mu.Unlock()
		for i := range 8 {
			g := r.sibling(fmt.Sprint(i))
			g.run("tcp " + to)
			g.remove()
		}
	}()
	lost, err := r.Lost()
	check(t, err)
	if lost.CgroupEvents == 0 {
		t.Errorf("lost %+v", lost)
	}
}

// An unrelated cgroup may flood the ring buffer. To read the initiator of each of its flows would take too long.
func TestNewCgroups_UnrelatedFloodIsCutOff(t *testing.T) {
	testenv.RequireRoot(t)
	tree, err := cgroup.FindTree()
	check(t, err)
	var unrelated atomic.Uint64
	p, err := Open(tree.Root, Sizes{RingBytes: 512 << 10}, Handler{
		ReadProcess: func(Initiator, *goroutine.Stack) flow.Process {
			time.Sleep(2 * time.Millisecond)
			return flow.Process{}
		},
		Unrelated: func(e *CgroupEvent) bool { return e.Cgroup == unrelated.Load() },
		Handle:    func([]Event) {},
	})
	check(t, err)
	defer func() { check(t, p.Close()) }()
	leaf, err := cgroup.NewLeaf(tree)
	check(t, err)
	defer leaf.Leave()
	check(t, p.Watch(leaf.ID))
	check(t, leaf.Move(os.Getpid()))
	_, err = p.Check(leaf.ID)
	check(t, err)
	check(t, p.TrackNewCgroups(leaf.ID))
	(&rig{t: t, Probe: p}).untrackDescendants()
	flood := newGroup(t, filepath.Join(filepath.Dir(leaf.Path), fmt.Sprintf("probe-test-%d-flood", os.Getpid())))
	unrelated.Store(flood.id)
	to := make([]string, 5000)
	if testing.Short() { // on an emulated CPU
		to = to[:500]
	}
	for i := range to {
		to[i] = fmt.Sprintf("udp 127.1.%d.%d:9", i/250, i%250)
	}
	flood.run(to...)
	lost, err := p.Lost()
	check(t, err)
	if lost != (Loss{}) {
		t.Errorf("lost %+v", lost)
	}
}
