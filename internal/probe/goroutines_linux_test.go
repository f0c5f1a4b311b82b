package probe

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// newAttributionRig is a rig with goroutine attribution.
func newAttributionRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, Sizes{})
	if goroutines, children := r.Unattributed(); goroutines != "" || children != "" {
		t.Fatalf("not attributed: goroutines: %q, children: %q", goroutines, children)
	}
	return r
}

// recordings returns the recordings of each flow: "TCP 127.0.0.1:80" -> ids.
func (r *rig) recordings() map[string][]goroutine.ID {
	r.t.Helper()
	found := make(map[string][]goroutine.ID)
	for _, e := range seen[*FlowEvent](r) {
		to := fmt.Sprintf("%s %s:%d", e.Protocol, e.Addr, e.Port)
		found[to] = append(found[to], e.Recording)
	}
	return found
}

func (r *rig) mustBeAttributed(to string, id goroutine.ID) {
	r.t.Helper()
	if got := r.recordings()[to]; len(got) != 1 || got[0] != id {
		r.t.Errorf("%s belongs to %q, want %q", to, got, id)
	}
}

// runLabelled runs f in a goroutine that belongs to a recording.
func (r *rig) runLabelled(id goroutine.ID, f func()) {
	r.t.Helper()
	done := make(chan error, 1)
	go func() {
		defer goroutine.Mark(id)()
		err := r.AttributeGoroutine(id)
		f()
		done <- err
	}()
	check(r.t, <-done)
}

func TestAttribution_ParallelGoroutines(t *testing.T) {
	testenv.Recorded(t, "parallel tests are distinguished by goroutine")
	r := newAttributionRig(t)
	const tests, each = 64, 20
	ids := make([]goroutine.ID, tests)
	var wait sync.WaitGroup
	for i := range ids {
		ids[i] = goroutine.NewID()
		wait.Go(func() {
			defer goroutine.Mark(ids[i])()
			var inner sync.WaitGroup
			for n := range each {
				inner.Go(func() {
					net.Dial("tcp", fmt.Sprintf("127.1.%d.%d:9", i, n))
					send(fmt.Sprintf("127.2.%d.%d:9", i, n))
				})
			}
			inner.Wait()
			net.Dial("tcp", "127.3.0.0:9") // the same flow in all tests
		})
	}
	wait.Wait()
	all := r.recordings()
	for i, id := range ids {
		for n := range each {
			for _, to := range []string{fmt.Sprintf("TCP 127.1.%d.%d:9", i, n), fmt.Sprintf("UDP 127.2.%d.%d:9", i, n)} {
				if got := all[to]; len(got) != 1 || got[0] != id {
					t.Errorf("%s belongs to %q, want %q", to, got, id)
				}
			}
		}
	}
	shared := make(map[goroutine.ID]bool)
	for _, id := range all["TCP 127.3.0.0:9"] {
		shared[id] = true
	}
	if len(shared) != tests || shared[0] {
		t.Errorf("a flow of %d tests belongs to %d", tests, len(shared))
	}
	r.mustLoseNothing()
}

func send(to string) {
	if c, err := net.Dial("udp", to); err == nil {
		c.Write([]byte("x"))
		c.Close()
	}
}

func TestAttribution_ReplacedLabels(t *testing.T) {
	r := newAttributionRig(t)
	id := goroutine.NewID()
	dial := func(port int) { net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)) }
	r.runLabelled(id, func() {
		pprof.Do(context.Background(), pprof.Labels("replaced", "yes"), func(context.Context) {
			dial(1)
			done := make(chan bool)
			go func() {
				defer close(done)
				dial(2)
				deeper := make(chan bool)
				go func() { defer close(deeper); dial(3) }()
				<-deeper
			}()
			<-done
		})
		dial(4) // pprof.Do has removed all labels
	})
	other := make(chan bool)
	go func() { defer close(other); dial(5) }()
	<-other
	r.mustBeAttributed("TCP 127.0.0.1:1", id)
	r.mustBeAttributed("TCP 127.0.0.1:2", id)
	r.mustBeAttributed("TCP 127.0.0.1:3", 0) // no label, and its parent was not attributed
	r.mustBeAttributed("TCP 127.0.0.1:4", id)
	r.mustBeAttributed("TCP 127.0.0.1:5", 0)
}

func TestAttribution_GoroutineReleased(t *testing.T) {
	r := newAttributionRig(t)
	id := goroutine.NewID()
	r.runLabelled(id, func() {
		pprof.SetGoroutineLabels(context.Background())
		net.Dial("tcp", "127.0.0.1:1")
		check(t, r.AttributeGoroutine(0))
		net.Dial("tcp", "127.0.0.1:2")
	})
	r.mustBeAttributed("TCP 127.0.0.1:1", id)
	r.mustBeAttributed("TCP 127.0.0.1:2", 0)
}

func TestAttribution_KnownLabelSet(t *testing.T) {
	r := newAttributionRig(t)
	read, known := goroutine.NewID(), goroutine.NewID()
	r.runLabelled(read, func() {
		net.Dial("tcp", "127.0.0.1:1")
		check(t, r.AttributeLabels(goroutine.Labels(), known))
		net.Dial("tcp", "127.0.0.1:2")
		done := make(chan bool)
		go func() { defer close(done); net.Dial("tcp", "127.0.0.1:3") }()
		<-done
		check(t, r.AttributeLabels(goroutine.Labels(), 0))
		net.Dial("tcp", "127.0.0.1:4")
	})
	r.mustBeAttributed("TCP 127.0.0.1:1", read)
	r.mustBeAttributed("TCP 127.0.0.1:2", known)
	r.mustBeAttributed("TCP 127.0.0.1:3", known)
	r.mustBeAttributed("TCP 127.0.0.1:4", read)
}

func TestAttribution_OtherLabels(t *testing.T) {
	r := newAttributionRig(t)
	id := goroutine.NewID()
	labels := func(n int) (pairs []string) {
		for i := range n {
			pairs = append(pairs, fmt.Sprintf("label%02d", i), "value")
		}
		return pairs
	}
	for n, want := range map[int]goroutine.ID{15: id, 16: 0} { // ours follows them in the order of names
		done := make(chan bool)
		go func() {
			defer close(done)
			pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(labels(n)...)))
			defer goroutine.Mark(id)()
			net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n))
		}()
		<-done
		r.mustBeAttributed(fmt.Sprintf("TCP 127.0.0.1:%d", n), want)
	}
}

func TestAttribution_ChildProcesses(t *testing.T) {
	testenv.Recorded(t, "child processes are attributed to the parallel test that started them")
	r := newAttributionRig(t)
	ids := []goroutine.ID{goroutine.NewID(), goroutine.NewID()}
	var wait sync.WaitGroup
	var servers [][]string
	for _, id := range ids {
		var to []string
		for range 3 {
			to = append(to, listen(t, "tcp4", "127.0.0.1:0").String())
		}
		servers = append(servers, to)
		wait.Go(func() {
			r.runLabelled(id, func() {
				child := descendant("tcp "+to[0], "spawn tcp "+to[1], "orphan tcp "+to[2])
				if err := child.Run(); err != nil {
					t.Error(err)
				}
			})
		})
	}
	wait.Wait()
	for i, id := range ids {
		for _, to := range servers[i] {
			eventually(t, "a flow to "+to, func() bool { return len(r.recordings()["TCP "+to]) > 0 })
			r.mustBeAttributed("TCP "+to, id)
		}
	}
	eventually(t, "a table of processes without those that were seen to exit", func() bool {
		var process uint32
		var id, left uint64
		for all := r.objects.Children.Iterate(); all.Next(&process, &id); {
			left++
		}
		return left <= misses(t, r.objects.ProcessExits)
	})
}

// Since Linux 7.0 the kernel does not run a program on a tracepoint while another task is preempted in the middle of
// it.
func TestAttribution_ForksDuringThreadStarts(t *testing.T) {
	r := newAttributionRig(t)
	stop := make(chan bool)
	var threads, children sync.WaitGroup
	for range 4 {
		threads.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ended := make(chan bool)
				go func() { defer close(ended); runtime.LockOSThread() }() // the thread ends with it
				<-ended
			}
		})
	}
	for range 4 {
		id := goroutine.NewID()
		children.Go(func() {
			r.runLabelled(id, func() {
				for range 5 {
					r.mustTrackChild(id)
				}
			})
		})
	}
	children.Wait()
	close(stop)
	threads.Wait()
	if n := misses(t, r.objects.ProcessForks); n != 0 {
		t.Errorf("%d forks were not seen", n)
	}
}

// mustTrackChild starts a process, and requires that it belongs to a recording.
func (r *rig) mustTrackChild(id goroutine.ID) {
	child := descendant("wait")
	stdin, err := child.StdinPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		r.t.Error(err)
		return
	}
	var got uint64
	if err := r.objects.Children.Lookup(uint32(child.Process.Pid), &got); err != nil || goroutine.ID(got) != id {
		r.t.Errorf("process %d belongs to %q, want %q: %v", child.Process.Pid, goroutine.ID(got), id, err)
	}
	_, err = stdin.Write([]byte("\n"))
	if err == nil {
		err = child.Wait()
	}
	if err != nil {
		r.t.Error(err)
	}
}

// misses returns how often the kernel skipped a program.
func misses(t *testing.T, program *ebpf.Program) uint64 {
	t.Helper()
	stats, err := program.Stats()
	check(t, err)
	return stats.RecursionMisses
}

func TestAttribution_ReusedProcessID(t *testing.T) {
	r := newAttributionRig(t)
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	const ahead = 2000
	for first, second := 0, 0; second <= first || second > first+ahead; { // again if the ids wrapped around
		child := descendant("tcp " + to)
		check(t, child.Run())
		first = child.Process.Pid
		for pid := range ahead {
			check(t, r.objects.Children.Put(uint32(first+1+pid), uint64(goroutine.NewID())))
		}
		child = descendant("udp " + to)
		check(t, child.Run())
		second = child.Process.Pid
	}
	r.mustBeAttributed("UDP "+to, 0)
}

func TestAttribution_ChildOfNoRecording(t *testing.T) {
	r := newAttributionRig(t)
	to := listen(t, "tcp4", "127.0.0.1:0").String()
	check(t, descendant("tcp "+to).Run())
	r.mustBeAttributed("TCP "+to, 0)
}

func TestAttribution_WrongLayoutDetected(t *testing.T) {
	testenv.RequireRoot(t)
	right, err := readTaskLayout()
	check(t, err)
	before := taskLayout
	t.Cleanup(func() { taskLayout = before })
	for reason, spoil := range map[string]func(*layout){
		"the eBPF programs read goroutine label":  func(l *layout) { l.goroutine.Labels += 8 },
		"the eBPF programs cannot read the stack": func(l *layout) { l.goroutine.SyscallBp -= 16 },
		"it is a test": func(l *layout) { l.attribution = attribution{unattributed: "it is a test"} },
	} {
		t.Run(reason, func(t *testing.T) {
			taskLayout = func() (layout, error) {
				wrong := right
				spoil(&wrong)
				return wrong, nil
			}
			r := newRig(t, Sizes{})
			if goroutines, _ := r.Unattributed(); !strings.Contains(goroutines, reason) {
				t.Fatalf("not attributed because %q, want %q", goroutines, reason)
			}
			to := listen(t, "tcp4", "127.0.0.1:0").String()
			r.runLabelled(goroutine.NewID(), func() { dialAndSend("tcp", to) })
			r.mustBeAttributed("TCP "+to, 0)
			if e := seen[*FlowEvent](r)[0]; e.Stack != nil {
				t.Errorf("it has a stack: %+v", e.Stack)
			}
		})
	}
}

// descendant is a child of this process that runs acts.
func descendant(acts ...string) *exec.Cmd {
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), "PROBE_TEST_ACTS="+strings.Join(acts, ","))
	c.Stderr = os.Stderr
	return c
}

// descend runs an act further down: "spawn" in a child, "orphan" in a process that outlives its parent first.
func descend(verb, what string) error {
	switch verb {
	case "spawn":
		return descendant(what).Run()
	case "orphan":
		return descendant(fmt.Sprintf("outlive %d %s", os.Getpid(), what)).Start()
	}
	parent, what, _ := strings.Cut(what, " ")
	for strconv.Itoa(os.Getppid()) == parent {
		time.Sleep(time.Millisecond)
	}
	if code := act([]string{what}); code != 0 {
		os.Exit(code)
	}
	return nil
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timeout: want %s", what)
		}
	}
}
