package session

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netzero-dev/netzero/internal/goroutine"
	"github.com/netzero-dev/netzero/internal/probe"
	"github.com/netzero-dev/netzero/internal/testenv"
)

// events collects the events of a session.
type events struct {
	mu  sync.Mutex
	all []probe.Event
}

func (e *events) handle(some []probe.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, some...)
}

// to returns the addresses of the flows of a cgroup.
func (e *events) to(cgroup uint64) map[string]*probe.FlowEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := make(map[string]*probe.FlowEvent)
	for _, event := range e.all {
		if f, ok := event.(*probe.FlowEvent); ok && f.Cgroup == cgroup {
			found[f.Addr.String()] = f
		}
	}
	return found
}

func open(t *testing.T) (*Session, *events) {
	t.Helper()
	e := new(events)
	s, err := Open(probe.Sizes{}, probe.Handler{
		Unrelated: func(*probe.CgroupEvent) bool { return false }, Handle: e.handle,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Probe.NextGeneration(); err != nil {
		t.Fatal(err)
	}
	return s, e
}

// gate makes children wait until it opens for all at once.
type gate struct{ read, write *os.File }

func newGate(t *testing.T) *gate {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &gate{r, w}
}

// bash starts a script with a descriptor 3 that has nothing to read until the gate opens.
func (g *gate) bash(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("bash", "-c", script)
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{g.read}
	if err := cmd.Start(); err != nil {
		t.Error(err)
	}
	return cmd
}

// Processes start others while the session opens: this process, one that it started before, and one with children that
// lose their parents at once. Each process that is alive when the session is open sends a datagram then, and so does
// each later one.
func TestOpen_ProcessesStartedMeanwhile(t *testing.T) {
	testenv.RequireRoot(t)
	const each = 400
	g := newGate(t)
	send := func(net int, i string) string {
		return fmt.Sprintf("read -r x <&3; echo > /dev/udp/127.%d.$((%s / 250)).$((%s %% 250))/9", net, i, i)
	}
	loop := fmt.Sprintf("for ((i = 0; i < %d; i++)); do ", each)
	parent := g.bash(t, loop+"("+send(101, "i")+") & done; wait")
	orphans := g.bash(t, loop+"( ("+send(102, "i")+") & ); done")
	deeper := g.bash(t, loop+"( ( ("+send(104, "i")+") & wait ) & ); done")
	started := make(chan []*exec.Cmd)
	go func() {
		var own []*exec.Cmd
		for i := range each / 4 {
			own = append(own, g.bash(t, send(103, fmt.Sprint(i))))
			time.Sleep(3 * time.Millisecond)
		}
		started <- own
	}()
	s, e := open(t)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	own := <-started
	if err := orphans.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := deeper.Wait(); err != nil {
		t.Fatal(err)
	}
	g.write.Close()
	for _, cmd := range append(own, parent) {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	var missing []string
	look := func() bool {
		if err := s.Probe.Sync(); err != nil {
			t.Fatal(err)
		}
		seen := e.to(s.Leaf.ID)
		missing = nil
		for _, net := range []int{101, 102, 103, 104} {
			for i := range each {
				if net == 103 && i >= each/4 {
					break
				}
				if to := fmt.Sprintf("127.%d.%d.%d", net, i/250, i%250); seen[to] == nil {
					missing = append(missing, to)
				}
			}
		}
		return len(missing) == 0
	}
	for deadline := time.Now().Add(testPatience); !look() && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond) // for processes without parents, because no process waits for them
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d processes were not seen, such as %s", len(missing), 3*each+each/4,
			strings.Join(missing[:min(5, len(missing))], ", "))
	}
	if lost, err := s.Probe.Lost(); err != nil || lost != (probe.Loss{}) {
		t.Errorf("lost %+v, %v", lost, err)
	}
}

// orphan starts a script in a process that loses its parents at once.
func (g *gate) orphan(t *testing.T, script string, env ...string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", "(read -r x <&3; "+script+") &")
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{g.read}
	cmd.Env = env
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

// await waits for a flow of the session's leaf cgroup.
func (e *events) await(t *testing.T, s *Session, to string) *probe.FlowEvent {
	t.Helper()
	for deadline := time.Now().Add(testPatience); ; time.Sleep(10 * time.Millisecond) {
		if err := s.Probe.Sync(); err != nil {
			t.Fatal(err)
		}
		if f := e.to(s.Leaf.ID)[to]; f != nil {
			return f
		}
		if time.Now().After(deadline) {
			t.Errorf("no flow to %s was seen", to)
			return nil
		}
	}
}

// Only the earlier session's scope links these processes to this one.
func TestOpen_SurvivorsOfEarlierSession(t *testing.T) {
	testenv.RequireRoot(t)
	first, _ := open(t)
	id := goroutine.NewID()
	marked, plain := newGate(t), newGate(t)
	done := make(chan bool)
	go func() {
		defer close(done)
		defer goroutine.Mark(id)()
		marked.orphan(t, "echo > /dev/udp/127.105.0.1/9; exec env -i setsid bash -c 'echo > /dev/udp/127.105.0.2/9'",
			"NOTHING=")
	}()
	<-done
	plain.orphan(t, "(echo > /dev/udp/127.105.0.3/9) &", "NOTHING=")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	between := newGate(t)
	between.orphan(t, "true", "NOTHING=") // of no session: it is unknown
	second, e := open(t)
	defer func() {
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, g := range []*gate{marked, plain, between} {
		g.write.Close()
	}
	for _, to := range []string{"127.105.0.1", "127.105.0.2"} {
		if f := e.await(t, second, to); f != nil && f.Recording != id {
			t.Errorf("the flow to %s belongs to %q, want %q", to, f.Recording, id)
		}
	}
	if f := e.await(t, second, "127.105.0.3"); f != nil && f.Recording != 0 {
		t.Errorf("the flow of one that no recording started belongs to %q", f.Recording)
	}
}

// A process that this one started keeps starting others, which lose their parents. Once it is in scope, its new
// children are too. The session opens meanwhile, and identifies all of them as its own.
func TestOpen_ForkingSibling(t *testing.T) {
	testenv.RequireRoot(t)
	g := newGate(t)
	storm := g.bash(t, "until read -r -t 0 x <&3; do ( (read -r -t 1 x <&3) & ); done")
	s, _ := open(t)
	g.write.Close()
	if err := storm.Wait(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, p := range s.Unclear {
		if p.Name == "bash" { // and not a remnant of another package's tests
			t.Errorf("it is unclear who started %+v", p)
		}
	}
}

// The environment shows which processes without parents, older than the session, are this one's.
func TestOpen_OlderOrphans(t *testing.T) {
	testenv.RequireRoot(t)
	daemon, unclear, unrelated := newGate(t), newGate(t), newGate(t)
	const send = "echo > /dev/udp/127.106.0.%d/9"
	daemon.orphan(t, fmt.Sprintf("exec setsid bash -c '"+send+"'", 1), os.Environ()...)
	unclear.orphan(t, fmt.Sprintf(send, 2), "NAME=unclear")
	cmd := exec.Command("bash", "-c", fmt.Sprintf("(read -r x <&3; "+send+") &", 3))
	cmd.ExtraFiles, cmd.Env = []*os.File{unrelated.read}, []string{"NAME=unrelated"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	s, e := open(t)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	named := 0
	for _, p := range s.Unclear {
		if env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.PID)); strings.Contains("\x00"+string(env),
			"\x00NAME=") {
			named++
			if p.Name != "bash" || !strings.Contains(string(env), "unclear") {
				t.Errorf("named is %+v, with %q", p, env)
			}
		}
	}
	if named != 1 {
		t.Errorf("unclear are %+v", s.Unclear)
	}
	for _, g := range []*gate{unclear, unrelated} {
		g.write.Close()
	}
	daemon.write.Close()
	e.await(t, s, "127.106.0.1")
	seen := e.to(s.Leaf.ID)
	if seen["127.106.0.2"] != nil || seen["127.106.0.3"] != nil {
		t.Error("what is not known to descend from the test was recorded")
	}
}
